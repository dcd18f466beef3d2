"""One execution of one control in one mode: what was looked at, what was found, and on what calls that rests."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any  # expected and actual values are free JSON

from pydantic import Field

from signalbox_evidence.canonical import canonical, digest, name_uuid, utc
from signalbox_evidence.capabilities import Capabilities
from signalbox_evidence.catalogue import Control, Frozen, Mode, Params, ParamValue
from signalbox_evidence.errors import ReadFailed
from signalbox_evidence.facts.world import Subject, World
from signalbox_evidence.finding import Finding, Outcome
from signalbox_evidence.live.reader import Call
from signalbox_evidence.rules.all import RULES


class Status(StrEnum):
    SATISFIED = "satisfied"
    NOT_SATISFIED = "not_satisfied"
    NOT_APPLICABLE = "not_applicable"
    ERROR = "error"
    NOT_ASSESSED = "not_assessed"


class Tier(StrEnum):
    """How strong the evidence is, on the scale E0 (a person's word) to E5 (re-performed by the reviewer)."""

    E1 = "E1"  # template: what is intended
    E3 = "E3"  # account: what the service APIs answered, with the raw answers kept


class Context(Frozen):
    """What all observations of a run share. The last three are None in a run that asked no account."""

    run_id: str
    catalogue_sha256: str
    account: str | None = None
    region: str | None = None
    actor: str | None = None


class Observation(Frozen):
    obs_id: str
    control_id: str
    catalogue_sha256: str
    mode: Mode
    tier: Tier
    status: Status
    reason: str
    params: dict[str, ParamValue]
    subjects: list[Subject]
    population_sha256: str
    findings: list[Finding]
    failed: list[str] = Field(description="ids of the subjects for which a finding fails")
    calls: list[Call]
    account: str | None
    region: str | None
    actor: str | None
    started_at: str
    ended_at: str


def _status(control: Control, findings: list[Finding], failure: str) -> tuple[Status, str]:
    """A failure that was seen stands, even where something else could not be read; then errors; a pass comes last."""
    by_outcome = {outcome: [it for it in findings if it.outcome is outcome] for outcome in Outcome}
    if by_outcome[Outcome.FAILS]:
        return Status.NOT_SATISFIED, failure or f"{len(by_outcome[Outcome.FAILS])} of {len(findings)} checks fail"
    if failure:
        return Status.ERROR, failure
    if by_outcome[Outcome.ERROR]:
        return Status.ERROR, by_outcome[Outcome.ERROR][0].reason
    if by_outcome[Outcome.NOT_VERIFIABLE]:
        return Status.NOT_ASSESSED, by_outcome[Outcome.NOT_VERIFIABLE][0].reason
    if not findings:
        return Status(control.empty.status), control.empty.reason
    return Status.SATISFIED, ""


def observe(
    control: Control, world: World, params: Params, *, limits: Capabilities, context: Context, calls: list[Call]
) -> Observation:
    """Carry out `control` in the mode of `world`. `calls` is filled by the world as it reads."""
    started = datetime.now(UTC)
    findings: list[Finding] = []
    failure = ""
    try:
        findings.extend(limits.qualify(finding) for finding in RULES[control.id](world, params))
    except ReadFailed as error:
        failure = str(error)
    status, reason = _status(control, findings, failure)
    # the ARN too: what has a name of its region may have a namesake in another one
    by_id = {(it.subject.type, it.subject.id, it.subject.arn or ""): it.subject for it in findings}
    subjects = [subject for _, subject in sorted(by_id.items())]
    live = world.mode is Mode.LIVE
    return Observation(
        obs_id=name_uuid(context.run_id, control.id, world.mode),
        control_id=control.id,
        catalogue_sha256=context.catalogue_sha256,
        mode=world.mode,
        tier=Tier.E3 if live else Tier.E1,
        status=status,
        reason=reason,
        params=params.values,
        subjects=subjects,
        population_sha256=digest(canonical(_population(subjects))),
        findings=findings,
        failed=sorted({finding.subject.id for finding in findings if finding.outcome is Outcome.FAILS}),
        calls=list(calls),
        account=context.account if live else None,
        region=context.region if live else None,
        actor=context.actor if live else None,
        started_at=utc(started),
        ended_at=utc(datetime.now(UTC)),
    )


def _population(subjects: list[Subject]) -> list[dict[str, Any]]:
    return [subject.model_dump(mode="json") for subject in subjects]
