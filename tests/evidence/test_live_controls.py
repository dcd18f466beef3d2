"""Every control that checks the account: the deployed stacks satisfy it, and fail it, alone, when weakened."""

from collections import Counter

import pytest

from signalbox_evidence.catalogue import Mode, load
from signalbox_evidence.observation import Observation
from support.emulated_account import Account, Emulated
from support.held_answers import HELD
from support.live_weakenings import WEAKENED, Weakened

LIVE = [control.id for control in load().controls if Mode.LIVE in control.modes]

pytestmark = pytest.mark.slow  # deploys the real stacks once


@pytest.fixture(scope="session")
def baseline(deployed: Emulated) -> dict[str, Observation]:
    """What the untouched account shows; it tells on which calls each control rests."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in deployed.environment.items():
            patch.setenv(name, value)
        account = deployed.account
        with account.told(HELD):
            return account.observe()


def test_the_deployed_stacks_satisfy_every_control(baseline: dict[str, Observation]) -> None:
    seen = {control_id: (it.status, it.reason) for control_id, it in baseline.items()}

    nothing_there = {"BCP-05": ("not_applicable", load().control("BCP-05").empty.reason)}
    assert seen == dict.fromkeys(LIVE, ("satisfied", "")) | nothing_there


def _rests_on(observation: Observation, touched: set[str]) -> bool:
    return any({call.service, f"{call.service}:{call.operation}"} & touched for call in observation.calls)


@pytest.mark.parametrize("weakened", WEAKENED, ids=lambda it: f"{it.control} {it.title}")
def test_a_weakened_account_fails_exactly_its_control(
    weakened: Weakened, account: Account, baseline: dict[str, Observation]
) -> None:
    with account.told(HELD), account.watched() as touched, weakened.apply(account):
        # a control that asks nothing of what was touched gets the same answers as before
        concerned = {control_id for control_id, it in baseline.items() if _rests_on(it, touched)}
        concerned.add(weakened.control)
        seen = account.observe(only=concerned)

    changed = {control_id: it.status for control_id, it in seen.items() if it.status != baseline[control_id].status}
    assert changed == dict.fromkeys({weakened.control, *weakened.also}, "not_satisfied")
    assert seen[weakened.control].failed


def test_every_live_control_has_two_weakenings_at_least() -> None:
    tally = Counter(weakened.control for weakened in WEAKENED)

    assert {control_id: tally[control_id] for control_id in LIVE if tally[control_id] < 2} == {}
    assert tally.keys() - set(LIVE) == set()


def test_no_weakening_is_left_behind(account: Account, baseline: dict[str, Observation]) -> None:
    """Runs after the others, since they share one account: what they changed is undone."""
    with account.told(HELD):
        left = {control_id: it.status for control_id, it in account.observe().items()}
    assert left == {control_id: it.status for control_id, it in baseline.items()}
