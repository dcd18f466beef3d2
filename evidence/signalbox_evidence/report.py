"""The report of one run: everything needed to read it, and to see how each verdict came about."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from signalbox_evidence.canonical import name_uuid, utc
from signalbox_evidence.catalogue import Catalogue, Frozen, Mode
from signalbox_evidence.errors import BadInput
from signalbox_evidence.exceptions import Exemption, Trouble, excuse_of, judge
from signalbox_evidence.live.clients import Identity
from signalbox_evidence.observation import Observation, Status
from signalbox_evidence.template.assembly import Assembly, Validation

EMULATOR_NOTICE = (
    "Collected from an AWS emulator: the service API stored what was asked, not that anything is enforced. "
    "This report is no evidence about an AWS account."
)


class TemplateDigest(Frozen):
    stack: str
    file: str
    sha256: str


class Emulator(Frozen):
    endpoint: str
    notice: str
    capabilities_sha256: str | None


class Report(Frozen):
    """`counts`: mode -> status -> number of controls. `account`, `region`, `actor`: None when no account was asked.

    `region` is the primary one, `regions` are all that were asked. `exceptions` are those of the register that was
    given, whether they hold or not.
    """

    schema_version: Literal["signalbox-evidence-report/1"] = "signalbox-evidence-report/1"
    run_id: str
    tool: str
    started_at: str
    ended_at: str
    modes: list[Mode]
    emulator: Emulator | None
    account: str | None
    region: str | None
    regions: list[str] = Field(default_factory=list[str])
    actor: str | None
    catalogue: Catalogue
    templates: list[TemplateDigest]
    validation: Validation
    counts: dict[Mode, dict[Status, int]]
    observations: list[Observation]
    exceptions: list[Exemption] = Field(default_factory=list[Exemption])

    def of(self, control_id: str, mode: Mode) -> Observation | None:
        """The observation of that control in that mode; None when the mode is not one of the control's, or not run."""
        return next((it for it in self.observations if it.control_id == control_id and it.mode is mode), None)

    @property
    def places(self) -> str:
        """The regions in words."""
        return ", ".join(self.regions) or str(self.region)

    @property
    def day(self) -> date:
        """The day by which exceptions are judged: that of the run, whenever the report is read."""
        return datetime.fromisoformat(self.started_at).date()

    @property
    def troubles(self) -> list[Trouble]:
        """What failed and is not excused, and what excuses nothing: while there is one, the command does not exit 0."""
        return judge(self.observations, self.exceptions, self.day)

    def excuse_of(self, observation: Observation) -> Exemption | None:
        return excuse_of(observation, self.exceptions, self.day)


def tool_name() -> str:
    return f"signalbox-evidence {version('signalbox-evidence')}"


def run_id(assembly: Assembly, started: datetime) -> str:
    return name_uuid("run", utc(started), *(stack.sha256 for stack in assembly.stacks))


def _counts(observations: list[Observation]) -> dict[Mode, dict[Status, int]]:
    modes = sorted({observation.mode for observation in observations}, reverse=True)
    tally = Counter((observation.mode, observation.status) for observation in observations)
    return {mode: {status: tally[mode, status] for status in Status} for mode in modes}


def compose(
    *,
    identifier: str,
    assembly: Assembly,
    catalogue: Catalogue,
    identity: Identity | None,
    regions: Sequence[str],
    emulator: Emulator | None,
    observations: list[Observation],
    exceptions: Sequence[Exemption],
    started: datetime,
    ended: datetime,
) -> Report:
    counts = _counts(observations)
    return Report(
        run_id=identifier,
        tool=tool_name(),
        started_at=utc(started),
        ended_at=utc(ended),
        modes=list(counts),
        emulator=emulator,
        account=identity.account if identity else None,
        region=identity.region if identity else None,
        regions=list(regions),
        actor=identity.arn if identity else None,
        catalogue=catalogue,
        templates=[TemplateDigest(stack=it.name, file=it.file, sha256=it.sha256) for it in assembly.stacks],
        validation=assembly.validation,
        counts=counts,
        observations=observations,
        exceptions=list(exceptions),
    )


def read(path: Path) -> Report:
    """The report in that file, or in that folder's `report.json`. Raises BadInput."""
    file = path / "report.json" if path.is_dir() else path
    try:
        return Report.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadInput(f"{file}: wanted a report, got: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"{file}: wanted a report of this tool, got at {where or 'the start'}: {first['msg']}"
        ) from error
