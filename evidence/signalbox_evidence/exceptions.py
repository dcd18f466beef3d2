"""The exceptions register: weakened controls that somebody answers for, until a day.

An exception never turns a failure into a pass. It says that the failure is known, by whom, why, and until when; without
one, or once it has ended, the failure counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from signalbox_evidence.catalogue import Frozen
from signalbox_evidence.errors import BadInput
from signalbox_evidence.observation import Observation, Status
from signalbox_evidence.rules.all import RULES

LONGEST = timedelta(days=180)

_BAD = {Status.NOT_SATISFIED, Status.ERROR}
_SOUND = {Status.SATISFIED, Status.NOT_APPLICABLE}

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

    @property
    def is_approved_by_another(self) -> bool:
        return self.approver.casefold() != self.owner.casefold()

    @property
    def ends_in_time(self) -> bool:
        return timedelta(0) < self.expires - self.opened <= LONGEST

    def holds(self, today: date) -> bool:
        return self.opened <= today < self.expires


@dataclass(frozen=True)
class Trouble:
    """A failure that nothing excuses, or an exception that excuses nothing."""

    control: str
    said: str
    observation: Observation | None = None


def judge(observations: Iterable[Observation], register: Sequence[Exemption], today: date) -> list[Trouble]:
    """Return what remains wrong, in the order of the observations; [] when every failure is excused.

    An exception is superfluous when its control was looked at, and is sound in every mode that was.
    """
    troubles: list[Trouble] = []
    statuses: dict[str, set[Status]] = {control: set() for control in RULES}
    for observation in observations:
        statuses[observation.control_id].add(observation.status)
        if observation.status not in _BAD or excuse_of(observation, register, today):
            continue
        said = [entry for entry in register if entry.control == observation.control_id]
        ended = [f"; {it.id} holds from {it.opened} until {it.expires}, and today is {today}" for it in said[:1]]
        troubles.append(Trouble(observation.control_id, "".join([observation.reason, *ended]), observation))
    troubles += [
        Trouble(entry.control, f"{entry.id} excuses {entry.control}, which is not weakened: take the exception away")
        for entry in register
        if entry.is_of_a_control and _is_sound(statuses.get(entry.control, _SOUND))
    ]
    return troubles


def excuse_of(observation: Observation, register: Sequence[Exemption], today: date) -> Exemption | None:
    """Return what excuses a failure on that day. Nothing excuses an error: what could not be told is not known."""
    if observation.status is not Status.NOT_SATISFIED:
        return None
    return next((it for it in register if it.control == observation.control_id and it.holds(today)), None)


def read_register(place: str) -> list[Exemption]:
    """Return the entries of `exceptions:` in a YAML file, such as a deployment's settings, or in a JSON object itself.

    Raises BadInput.
    """
    is_content = place.startswith("{")
    path = "the exceptions" if is_content else place
    try:
        content = place if is_content else Path(place).read_text("utf-8")
        entries = _Register.model_validate(yaml.safe_load(content)).exceptions
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{path}: wanted a YAML file with exceptions, got: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the start"
        raise BadInput(f"{path}: wanted a list of exceptions, got at {where}: {first['msg']}") from error
    for entry in entries:
        if not entry.is_approved_by_another:
            raise BadInput(f"{path}: {entry.id}: wanted an approver who is not the owner, got {entry.approver}")
        if not entry.ends_in_time:
            raise BadInput(f"{path}: {entry.id}: wanted an end 1 to {LONGEST.days} days after {entry.opened}")
    return entries


class _Register(BaseModel):
    """The part of a settings file that is meant here; whatever else it says is not looked at."""

    exceptions: list[Exemption]


def _is_sound(statuses: set[Status]) -> bool:
    return bool(statuses) and statuses <= _SOUND
