"""Reports and the catalogue as plain text for a terminal."""

from signalbox_evidence.catalogue import Catalogue, Mode
from signalbox_evidence.exceptions import Trouble
from signalbox_evidence.finding import Finding, Outcome
from signalbox_evidence.observation import Status
from signalbox_evidence.report import Report

SAID = {Mode.TEMPLATE: "designed as required", Mode.LIVE: "operated as designed"}
"""What may be said of satisfied controls. A template never proves operation; nothing here proves compliance."""


def score(report: Report, mode: Mode) -> str:
    """`27 of 30`: satisfied, of all those that apply."""
    counts = report.counts[mode]
    applicable = sum(counts.values()) - counts[Status.NOT_APPLICABLE]
    return f"{counts[Status.SATISFIED]} of {applicable}"


def _line(finding: Finding) -> str:
    name = finding.subject.arn or finding.subject.id
    got = finding.reason or f"got {finding.actual}"
    return f"    {name}: {finding.attribute}: wanted {finding.expected}, {got}"


def trouble(trouble: Trouble) -> str:
    """A failed or errored observation with its subjects, several lines; or an exception that excuses nothing."""
    observation = trouble.observation
    if observation is None:
        return f"{trouble.control}: {trouble.said}"
    heading = f"{observation.control_id} {observation.mode}: {observation.status}: {trouble.said}"
    told = (Outcome.FAILS, Outcome.ERROR)
    return "\n".join([heading, *(_line(finding) for finding in observation.findings if finding.outcome in told)])


def report_text(report: Report) -> str:
    lines = [f"{report.tool}  run {report.run_id}", f"{report.started_at} to {report.ended_at}"]
    if report.account:
        lines.append(f"account {report.account}, {report.places}, as {report.actor}")
    if report.emulator:
        lines.append(f"NOTE: {report.emulator.notice}")
    lines.append("")
    for control in report.catalogue.controls:
        seen = {mode: report.of(control.id, mode) for mode in report.modes}
        words = "  ".join(f"{mode}: {it.status if it else '-':<14}" for mode, it in seen.items())
        lines.append(f"{control.id}  {control.severity:<8}  {words}  {control.title}")
    lines += ["", *_excuses(report)]
    lines += [f"{mode}: {SAID[mode]} in {score(report, mode)} controls" for mode in report.modes]
    return "\n".join(lines)


def _excuses(report: Report) -> list[str]:
    """One line for each failure that an exception excuses, and an empty one after them."""
    excused = [(it, excuse) for it in report.observations if (excuse := report.excuse_of(it))]
    lines = [
        f"{it.control_id} {it.mode}: {it.status}, excused by {excuse.id} of {excuse.owner} until {excuse.expires}:"
        f" {excuse.reason}"
        for it, excuse in excused
    ]
    return [*lines, ""] if lines else []


def catalogue_text(catalogue: Catalogue) -> str:
    lines = [
        f"{control.id}  {control.severity:<8}  {'+'.join(control.modes):<13}  {control.title}"
        for control in catalogue.controls
    ]
    return "\n".join([*lines, "", f"{len(catalogue.controls)} controls, catalogue sha256 {catalogue.sha256}"])
