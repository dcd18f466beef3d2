"""The report as one HTML file: no script, no remote asset, legible on paper."""

from collections import Counter
from dataclasses import dataclass
from typing import Any  # values of findings are free JSON

from jinja2 import Environment, PackageLoader, StrictUndefined

from signalbox_evidence.catalogue import Control, Mode
from signalbox_evidence.finding import Finding, Outcome
from signalbox_evidence.observation import Observation, Status
from signalbox_evidence.report import Report
from signalbox_evidence.text import SAID, score

_FRAMEWORKS = {
    "tsc2017": "SOC 2 (TSC 2017)",
    "nist80053r5": "NIST 800-53 r5",
    "iso27001_2022": "ISO 27001:2022 A.",
    "cis_aws_3": "CIS AWS 3.0",
    "hipaa": "HIPAA 45 CFR",
}
_WORDS = {
    Status.SATISFIED: "satisfied",
    Status.NOT_SATISFIED: "not satisfied",
    Status.NOT_APPLICABLE: "not applicable",
    Status.ERROR: "error",
    Status.NOT_ASSESSED: "not assessed",
}
_FAMILIES = {
    "DAT": "Data at rest and keys",
    "NET": "Network isolation",
    "TLS": "Encryption in transit",
    "BCP": "Backup, recovery, availability",
    "IAM": "Identity and least privilege",
    "LOG": "Logging",
    "WRK": "Workload",
}


_MARKS = {Outcome.HOLDS: "✓", Outcome.FAILS: "✗", Outcome.ERROR: "!", Outcome.NOT_VERIFIABLE: "?"}


@dataclass(frozen=True)
class _Group:
    """Findings of several subjects about one attribute."""

    attribute: str
    expected: str
    findings: list[Finding]


def _groups(observation: Observation) -> list[_Group]:
    """In the order in which the rule came to them; failures lead within a group."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in observation.findings:
        found.setdefault((finding.attribute, finding.expected), []).append(finding)
    return [
        _Group(attribute.partition("::")[2], expected, sorted(group, key=lambda it: it.outcome is Outcome.HOLDS))
        for (attribute, expected), group in found.items()
    ]


def _sources(observation: Observation) -> list[str]:
    names = Counter(f"{call.service}:{call.operation}" for call in observation.calls)
    return [name if count == 1 else f"{name} x {count}" for name, count in sorted(names.items())]


def _short(subject: str) -> str:
    """An ARN without the part that the report's head says already."""
    return subject.split(":", 5)[-1] if subject.startswith("arn:") else subject


def _value(value: Any) -> str:
    """A finding's actual value for people."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",\n".join(map(_value, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]  JSON
    return str(value)


def _families(report: Report) -> list[tuple[str, list[Control]]]:
    controls = report.catalogue.controls
    return [(title, [it for it in controls if it.id.startswith(prefix)]) for prefix, title in _FAMILIES.items()]


def render(report: Report) -> str:
    """The whole page of `report`."""
    environment = Environment(
        loader=PackageLoader("signalbox_evidence", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = _value
    environment.filters["short"] = _short
    return environment.get_template("report.html.j2").render(
        report=report,
        families=_families(report),
        frameworks=_FRAMEWORKS,
        words=_WORDS,
        statuses=list(Status),
        modes=list(Mode),
        said=SAID,
        marks=_MARKS,
        groups=_groups,
        sources=_sources,
        scores={mode: score(report, mode) for mode in report.modes},
    )
