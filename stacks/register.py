"""Synthesis holds the templates to the catalogue of controls: what is weakened without an exception does not come out.

The same controls are checked later in the account (`evidence/`); here they stop a mistake before it is deployed.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import aws_cdk as cdk
import jsii

from signalbox_constructs.findings import accept
from signalbox_evidence import text
from signalbox_evidence.catalogue import Mode, load
from signalbox_evidence.exceptions import Exemption, Trouble, judge
from signalbox_evidence.run import carry_out
from signalbox_evidence.template.assembly import read_assembly


def today() -> date:
    return datetime.now(UTC).date()


class Weakened(Exception):
    """A control is weakened without an exception that holds; one line each."""


def hold_to_the_catalogue(app: cdk.App, register: Sequence[Exemption], day: date) -> "Controls":
    """Have synthesis judge the templates by the catalogue, and by cdk-nag, but for what `register` excuses on `day`.

    Raises Weakened for an exception of a construct that does not exist.
    """
    for entry in register:
        if not entry.is_of_a_control and entry.holds(day):
            scope = next((it for it in app.node.find_all() if it.node.path == (entry.scope or "")), None)
            if scope is None:
                raise Weakened(f"exception {entry.id}: no construct {entry.scope!r}; wanted a construct path")
            accept(scope, entry.control, reason=f"{entry.id}, {entry.owner}, until {entry.expires}: {entry.reason}")
    controls = Controls(register, day)
    cdk.Validations.of(app).add_plugins(controls)
    return controls


def synthesise(app: cdk.App, controls: "Controls") -> Path:
    """Write the cloud assembly and return its folder. Raises Weakened; the folder is written all the same."""
    try:
        directory = Path(app.synth().directory)
    except RuntimeError as error:  # how jsii words a validation that failed
        if controls.troubles:
            raise _weakened(controls) from error
        raise
    if controls.troubles:  # CDK itself passes over a finding that names no resource
        raise _weakened(controls)
    return directory


def _weakened(controls: "Controls") -> Weakened:
    return Weakened("\n".join(text.trouble(trouble) for trouble in controls.troubles))


@jsii.implements(cdk.IPolicyValidationPlugin)
class Controls:
    """The catalogue as a validation plugin of CDK: for our stacks, and for any app that wants to be held to it."""

    def __init__(self, register: Sequence[Exemption], day: date) -> None:
        self._register = register
        self._day = day
        self.troubles: list[Trouble] = []
        """What the last synthesis found that nothing excuses."""

    @property
    def name(self) -> str:
        return "Signalbox controls"

    @property
    def version(self) -> str:
        return "1.0.0"

    @property
    def rule_ids(self) -> list[str]:
        return [control.id for control in load().controls if Mode.TEMPLATE in control.modes]

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        directory = Path(context.template_paths[0]).parent
        assembly = read_assembly(directory)
        report = carry_out(
            assembly, load(), modes=[Mode.TEMPLATE], settings={}, capabilities=None, progress=lambda _: None
        ).report
        self.troubles = judge(report.observations, self._register, self._day)
        files = {stack.name: str(directory / stack.file) for stack in assembly.stacks}
        return cdk.PolicyValidationPluginReport(
            success=not self.troubles,
            violations=[_violation(trouble, files) for trouble in self.troubles],
            metadata={
                entry.id: f"{entry.control} {entry.owner}, {entry.approver}, until {entry.expires}: {entry.reason}"
                for entry in self._register
            },
        )


def _violation(trouble: Trouble, files: dict[str, str]) -> cdk.PolicyViolation:
    findings = trouble.observation.findings if trouble.observation else []
    wrong = [it for it in findings if it.outcome in {"fails", "error"}]
    return cdk.PolicyViolation(
        rule_name=trouble.control,
        description=f"{load().control(trouble.control).statement} {trouble.said}",
        fix="Strengthen it, or add an exception with id, control, reason, owner, approver, opened and expires.",
        severity=load().control(trouble.control).severity,
        violating_resources=[
            cdk.PolicyViolatingResource(
                resource_logical_id=it.subject.id.split("/", 1)[-1],
                template_path=files.get(it.subject.id.split("/", 1)[0], next(iter(files.values()))),
                locations=[f"{it.attribute}: wanted {it.expected}, got {it.actual}{it.reason and f' ({it.reason})'}"],
            )
            for it in wrong
        ],
    )
