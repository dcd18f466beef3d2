"""The exceptions register: weakened controls that somebody answers for, until a day.

An exception never turns a failure into a pass. It says that the failure is known, by whom, why, and until when; without
one, or once it has ended, the failure counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from signalbox_evidence.catalogue import Frozen
from signalbox_evidence.observation import Observation, Status

LONGEST = timedelta(days=180)

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Exemption(Frozen):
    id: Annotated[str, StringConstraints(pattern=r"^EX-\d{3,}$")] = Field(description="'EX-' and three digits or more")
    control: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}-\d{2}$|^[A-Za-z][A-Za-z0-9.]*::\S+$")] = Field(
        description="the id of the control that it excuses, such as NET-04, or of a finding of cdk-nag as synthesis "
        "prints it, such as AwsSolutions::AwsSolutions-ELB2"
    )
    scope: _Words | None = Field(
        default=None,
        description="the construct path below which a finding is excused; a control is excused as a whole, without it",
    )
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=20, max_length=1000)] = Field(
        description="why, and what compensates, in 20 characters or more"
    )
    owner: _Words = Field(description="who answers for it")
    approver: _Words = Field(description="who agreed, which is not the owner")
    opened: date = Field(description="the day it was agreed, as YYYY-MM-DD")
    expires: date = Field(description="the day on which it ends, as YYYY-MM-DD, 1 to 180 days after it was opened")

    @property
    def is_of_a_control(self) -> bool:
        return "::" not in self.control

    def holds(self, today: date) -> bool:
        return self.opened <= today < self.expires


@dataclass(frozen=True)
class Trouble:
    """A failure that nothing excuses, or an exception that excuses nothing."""

    control: str
    said: str
    observation: Observation | None = None


def judge(observations: Iterable[Observation], register: Sequence[Exemption], today: date) -> list[Trouble]:
    """Return what remains wrong, in the order of the observations; [] when every failure is excused."""
    troubles: list[Trouble] = []
    failing: set[str] = set()
    for observation in observations:
        if observation.status not in {Status.NOT_SATISFIED, Status.ERROR}:
            continue
        failing.add(observation.control_id)
        said = [entry for entry in register if entry.control == observation.control_id]
        if any(entry.holds(today) for entry in said) and observation.status is Status.NOT_SATISFIED:
            continue
        ended = f"; {said[0].id} holds from {said[0].opened} until {said[0].expires}, and today is {today}"
        troubles.append(Trouble(observation.control_id, f"{observation.reason}{ended if said else ''}", observation))
    troubles += [
        Trouble(entry.control, f"{entry.id} excuses {entry.control}, which is not weakened: take the exception away")
        for entry in register
        if entry.is_of_a_control and entry.control not in failing
    ]
    return troubles
