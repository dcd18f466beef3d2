"""The cluster link under faults: lost replies, outages, refused credentials, another agent, sudden death."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from flyteidl2.common.phase_pb2 import ACTION_PHASE_RUNNING, ACTION_PHASE_SUCCEEDED

from signalbox_wire.cluster.v1.cluster_pb2 import Outcome
from support.dataplane import SUCCEED, data_plane, environment, shell_task, start
from support.processes import alive, gone, read_when_there
from support.stub_control_plane import StubControlPlane, stub_control_plane

SLEEP = 'echo $$ > "$1"; sleep 60 & echo $! >> "$1"; wait'


async def running(stub: StubControlPlane, directory: Path, action: str = "a0", *, epoch: int = 1) -> list[int]:
    """Grants an endless action; its process and the child of that, once both run and that is known."""
    pids = directory / f"pids-{action}-{epoch}"
    stub.grant(action, shell_task(SLEEP, str(pids)), epoch=epoch)
    found = [int(pid) for pid in await read_when_there(pids, lines=2)]
    await stub.until(lambda: ACTION_PHASE_RUNNING in stub.phases(action))
    return found


async def test_a_report_is_repeated_unchanged_until_it_is_acknowledged(
    own_stub: StubControlPlane, tmp_path: Path
) -> None:
    async with data_plane(own_stub, tmp_path):
        own_stub.drop_report_replies = 3
        own_stub.grant("a0", shell_task(SUCCEED))
        await own_stub.ended("a0")
        await own_stub.until(lambda: not own_stub.drop_report_replies)
        own_stub.grant("next", shell_task(SUCCEED))
        await own_stub.ended("next")

    of_a0 = [raw for raw in own_stub.received if b"a0" in raw]
    assert len(of_a0) > len(set(of_a0)), "lost replies must cause repeats"
    assert own_stub.phases("a0") == [ACTION_PHASE_RUNNING, ACTION_PHASE_SUCCEEDED]


async def test_results_survive_an_outage_of_the_control_plane(own_stub: StubControlPlane, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f'while [ ! -e "$1" ]; do sleep 0.05; done; {SUCCEED}'
    async with data_plane(own_stub, tmp_path):
        own_stub.grant("a0", shell_task(script, str(go)))
        await own_stub.until(lambda: own_stub.phases("a0") == [ACTION_PHASE_RUNNING])
        own_stub.stop_answering()
        go.touch()
        await asyncio.sleep(1)  # it ends, and its report fails

        own_stub.down = False
        (end,) = await own_stub.ended("a0")

    assert end.event.phase == ACTION_PHASE_SUCCEEDED
    assert len(set(own_stub.sessions)) == 1


async def test_what_ended_during_an_outage_arrives_also_where_it_is_too_much_for_one_request(tmp_path: Path) -> None:
    """A1: an agent that repeats a batch above the limit for ever falls silent, and its fence stops all that runs."""
    go, count = tmp_path / "go", 40
    script = f'while [ ! -e "$1" ]; do sleep 0.2; done; yes {"x" * 180} | head -n 50; exit 3'
    async with (
        stub_control_plane(f"file://{tmp_path}/store", request_limit=64 * 1024) as stub,
        data_plane(stub, tmp_path, MAX_PROCESSES=str(count)),
    ):
        names = [f"c{number}" for number in range(count)]
        for name in names:
            stub.grant(name, shell_task(script, str(go)))
        await stub.until(lambda: len(stub.reports) == count)
        stub.stop_answering()
        go.touch()
        await asyncio.sleep(2)  # they end, and their reports fail

        stub.down = False
        ends = await stub.ended(*names)

    assert {len(end.event.error_info.message.encode()) // 1000 for end in ends} == {8}
    assert sum(end.ByteSize() for end in ends) > 4 * 64 * 1024
    assert len(set(stub.sessions)) == 1


async def test_a_cluster_that_is_not_heard_stops_all_and_starts_a_new_session(tmp_path: Path) -> None:
    async with (
        stub_control_plane(f"file://{tmp_path}/store", fence_after=1.5) as stub,
        data_plane(stub, tmp_path) as plane,
    ):
        pids = await running(stub, tmp_path)
        stub.stop_answering()
        await gone(pids)

        (tmp_path / "pids-a0-1").unlink()
        stub.down = False
        await stub.until(lambda: len(set(stub.sessions)) == 2)

        assert stub.held[-1] == []
        assert stub.phases("a0") == [ACTION_PHASE_RUNNING], "nothing is reported of what the fence stopped"
        pids_again = await read_when_there(tmp_path / "pids-a0-1", lines=2)  # granted anew, as it was not held
        assert alive(int(pids_again[0]))
        assert plane.process.returncode is None


@pytest.mark.parametrize("outcome", [Outcome.OUTCOME_STALE_EPOCH, Outcome.OUTCOME_UNKNOWN_ACTION])
async def test_an_attempt_that_counts_no_more_is_stopped_without_a_word(
    own_stub: StubControlPlane, tmp_path: Path, outcome: Outcome
) -> None:
    own_stub.outcomes["a0", 1, 1] = outcome
    async with data_plane(own_stub, tmp_path):
        pids = tmp_path / "pids"
        own_stub.grant("a0", shell_task(SLEEP, str(pids)))
        await own_stub.until(lambda: bool(own_stub.received))
        await gone([int(pid) for pid in pids.read_text().split()] if pids.exists() else [])
        own_stub.grant("next", shell_task(SUCCEED))
        await own_stub.ended("next")

    assert len([raw for raw in own_stub.received if b"a0" in raw]) == 1


async def test_a_newer_epoch_ends_the_older_one(own_stub: StubControlPlane, tmp_path: Path) -> None:
    async with data_plane(own_stub, tmp_path):
        older = await running(own_stub, tmp_path)
        own_stub.outcomes["a0", 1, 1] = Outcome.OUTCOME_STALE_EPOCH
        own_stub.grant("a0", shell_task(SUCCEED), epoch=2)

        await gone(older)
        (end,) = await own_stub.ended("a0")

    assert end.epoch == 2


async def test_a_grant_that_arrives_twice_runs_once(own_stub: StubControlPlane, tmp_path: Path) -> None:
    count = tmp_path / "count"
    async with data_plane(own_stub, tmp_path):
        own_stub.grant("a0", shell_task(f'echo x >> "$1"; sleep 1; {SUCCEED}', str(count)))
        await read_when_there(count, lines=1)
        own_stub.repeat_grants = True
        own_stub.grant("other", shell_task(SUCCEED))
        await own_stub.ended("a0", "other")

    assert count.read_text().split() == ["x"]


async def test_an_agent_that_starts_before_the_control_plane_waits_for_it(
    own_stub: StubControlPlane, tmp_path: Path
) -> None:
    own_stub.stop_answering()
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(start(environment(own_stub, tmp_path / "state")))
        await asyncio.sleep(2.5)
        own_stub.down = False
        process = await starting
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = json.loads(await process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    await process.communicate()

    assert (line["event"], line["cluster"], process.returncode) == ("ready", "local-1", 0)


async def test_another_agent_that_took_over_ends_this_one(own_stub: StubControlPlane, tmp_path: Path) -> None:
    async with data_plane(own_stub, tmp_path) as plane:
        pids = await running(own_stub, tmp_path)
        own_stub.session_current = False

        assert await plane.exit_code() == 5

    await gone(pids)
    assert "newer session" in plane.log.read_text()


async def test_a_refused_credential_is_replaced_with_the_join_token(own_stub: StubControlPlane, tmp_path: Path) -> None:
    async with data_plane(own_stub, tmp_path):
        await running(own_stub, tmp_path)
        own_stub.invalidate_credentials()
        await own_stub.until(lambda: len(own_stub.held) == 2)

        assert own_stub.held[-1] == [("a0", 1, 1)], "what runs goes on under the new credential"


async def test_a_refused_credential_without_a_join_token_ends_the_agent(
    own_stub: StubControlPlane, tmp_path: Path
) -> None:
    async with data_plane(own_stub, tmp_path):
        pass
    own_stub.invalidate_credentials()
    process = await start(environment(own_stub, tmp_path / "state", JOIN_TOKEN=""))
    _, stderr = await process.communicate()

    assert process.returncode == 4
    assert b"no join token" in stderr


async def test_a_wrong_join_token_ends_the_agent(own_stub: StubControlPlane, tmp_path: Path) -> None:
    process = await start(environment(own_stub, tmp_path / "state", JOIN_TOKEN="wrong"))
    _, stderr = await process.communicate()

    assert process.returncode == 4
    assert b"enrolling with the join token was refused" in stderr
    assert b"wrong" not in stderr


async def test_the_credential_is_owner_only_and_serves_a_restart_without_a_join_token(
    own_stub: StubControlPlane, tmp_path: Path
) -> None:
    async with data_plane(own_stub, tmp_path) as plane:
        credential = plane.state_dir / "credential.json"
    assert stat.S_IMODE(credential.stat().st_mode) == 0o600

    async with data_plane(own_stub, tmp_path, JOIN_TOKEN=""):
        own_stub.grant("a0", shell_task(SUCCEED))
        await own_stub.ended("a0")

    assert len(own_stub.tokens) == 1
    assert len(set(own_stub.sessions)) == 2, "each process has a session of its own"


async def test_the_credential_is_renewed_at_half_of_its_life(tmp_path: Path) -> None:
    async with (
        stub_control_plane(f"file://{tmp_path}/store", credential_life=timedelta(seconds=4)) as stub,
        data_plane(stub, tmp_path) as plane,
    ):
        await stub.until(lambda: len(stub.renewed_with) > 1, within=10)
        old = stub.renewed_with[0]
        assert stub.renewed_with[1] != old, "the second renewal is asked for with what the first one gave"
        stub.tokens.remove(old)  # from here on only newer ones count
        stub.grant("a0", shell_task(SUCCEED))
        await stub.ended("a0")
        credential = json.loads((plane.state_dir / "credential.json").read_text())

    assert credential["token"] in stub.tokens
    assert len(stub.enrolled_with) == 1, "it was renewed, not enrolled again"


async def test_sigkill_of_the_agent_leaves_no_process(own_stub: StubControlPlane, tmp_path: Path) -> None:
    async with data_plane(own_stub, tmp_path) as plane:
        pids = await running(own_stub, tmp_path)

        os.kill(plane.process.pid, signal.SIGKILL)

        await gone(pids)
        await plane.exit_code()


async def test_sigterm_stops_all_in_time_reports_nothing_of_it_and_exits_0(
    own_stub: StubControlPlane, tmp_path: Path
) -> None:
    async with data_plane(own_stub, tmp_path) as plane:
        stubborn = tmp_path / "stubborn"
        own_stub.grant("a0", shell_task('trap "" TERM; echo $$ > "$1"; while :; do sleep 1; done', str(stubborn)))
        pids = [int(pid) for pid in await read_when_there(stubborn, lines=1)]
        await own_stub.until(lambda: own_stub.phases("a0") == [ACTION_PHASE_RUNNING])

        plane.process.send_signal(signal.SIGTERM)

        assert await plane.exit_code(within=8) == 0
        await gone(pids, within=0.5)
        assert own_stub.phases("a0") == [ACTION_PHASE_RUNNING], "so that it is granted again, not counted as failed"
