from __future__ import annotations

from pathlib import Path

from signalbox_dataplane.executor.environment import TaskPlatform, task_environment
from support.attempts import an_attempt

AGENT = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "LANG": "C.UTF-8",
    "SIGNALBOX_DATAPLANE_JOIN_TOKEN": "secret",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "PYTHONPATH": "/agent",
    "VIRTUAL_ENV": "/agent/.venv",
    "DATABASE_URL": "postgres://secret",
}


def platform(
    *, control_plane: str = "http://localhost:8090", storage: str = "file:///store", s3_endpoint: str | None = None
) -> TaskPlatform:
    return TaskPlatform(
        control_plane=control_plane, runtime_bin=Path("/flyte/bin"), storage=storage, s3_endpoint_url=s3_endpoint
    )


def test_a_task_gets_exactly_this() -> None:
    """The whole environment, so that a leak of the agent's cannot go unseen."""
    assert task_environment(an_attempt(), platform(), AGENT) == {
        "PATH": "/flyte/bin:/usr/bin",
        "HOME": "/home/me",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "FSSPEC_FILE_AUTO_MKDIR": "true",
        "_F_MAX_QPS": "10000",
        "_F_P_CNC": "20000",
        "_U_USE_ACTIONS": "1",
        "RUN_NAME": "r1",
        "ACTION_NAME": "a0",
        "FLYTE_ATTEMPT_NUMBER": "0",
        "FLYTE_INTERNAL_EXECUTION_PROJECT": "flytesnacks",
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": "development",
        "_U_ORG_NAME": "local",
        "_U_RUN_BASE": "s3://b/runs/r1",
        "_U_EP_OVERRIDE": "dns:///localhost:8090",
        "_U_INSECURE": "1",
    }


def test_the_run_overrides_the_container_and_that_the_data_plane() -> None:
    attempt = an_attempt(
        container_env={"_F_MAX_QPS": "container", "ONE": "container", "TWO": "container"}, run_envs={"TWO": "run"}
    )

    found = task_environment(attempt, platform(), AGENT)

    assert (found["_F_MAX_QPS"], found["ONE"], found["TWO"]) == ("container", "container", "run")


def test_identity_cannot_be_overridden() -> None:
    mine = task_environment(an_attempt(), platform(), AGENT)
    names = [
        "RUN_NAME", "ACTION_NAME", "_U_ORG_NAME", "_U_RUN_BASE", "_U_EP_OVERRIDE", "_U_INSECURE",
        "FLYTE_INTERNAL_EXECUTION_PROJECT", "FLYTE_INTERNAL_EXECUTION_DOMAIN",
    ]  # fmt: skip
    forged = dict.fromkeys(names, "forged")

    found = task_environment(an_attempt(container_env=forged, run_envs=forged), platform(), AGENT)

    assert found == mine


def test_a_control_plane_with_tls_is_not_dialled_in_plain_text() -> None:
    found = task_environment(an_attempt(), platform(control_plane="https://cp.example.com"), AGENT)

    assert (found["_U_EP_OVERRIDE"], found["_U_INSECURE"]) == ("dns:///cp.example.com", "0")


def test_credentials_of_s3_reach_tasks_only_when_the_store_is_s3() -> None:
    s3 = platform(storage="s3://b/p", s3_endpoint="http://localhost:9000")

    found = task_environment(an_attempt(), s3, AGENT | {"AWS_DEFAULT_REGION": "eu-west-1"})

    assert found["FLYTE_AWS_ENDPOINT"] == "http://localhost:9000"
    assert (found["FLYTE_AWS_ACCESS_KEY_ID"], found["FLYTE_AWS_SECRET_ACCESS_KEY"]) == ("key", "secret")
    assert found["AWS_REGION"] == "eu-west-1"


def test_short_lived_credentials_go_by_the_names_that_carry_a_session_token() -> None:
    found = task_environment(an_attempt(), platform(storage="s3://b/p"), AGENT | {"AWS_SESSION_TOKEN": "token"})

    assert found["AWS_SESSION_TOKEN"] == "token"
    assert "FLYTE_AWS_ACCESS_KEY_ID" not in found
