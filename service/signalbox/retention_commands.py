"""Commands about what is kept, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from signalbox import ids
from signalbox.access.principals import OPERATOR
from signalbox.commands import configured, operate
from signalbox.control import retention
from signalbox.errors import Invalid
from signalbox.output import Output, answer
from signalbox.store.retention import Hold, Policy

Outcome = Literal["any", "succeeded", "failed", "aborted", "timed_out"]
_LONGEST_DAYS = 36_500


def set_policy(
    keep_days: int, *, project: str = "", outcome: Outcome = "any", org: str | None = None, output: Output = "text"
) -> None:
    """Delete ended runs KEEP_DAYS after their end. The most specific policy counts; without one a run stays for ever.

    Parameters
    ----------
    keep_days
        1 to 36500.
    project
        Every project without a policy of its own when not given.
    outcome
        Of the runs.
    org
        The default org when not given.
    output
        `json` for machines.

    """
    if not 1 <= keep_days <= _LONGEST_DAYS:
        raise Invalid(f"keep_days: 1 to {_LONGEST_DAYS}, got {keep_days}")
    settings = configured()
    named = ids.name(project, what="project") if project else ""
    policy = Policy(org or settings.default_org, named, outcome, timedelta(days=keep_days))
    operate(settings, lambda op: retention.set_policy(op, policy))
    answer(output, {"project": named, "outcome": outcome, "keep_days": keep_days}, _line(policy))


def unset(*, project: str = "", outcome: Outcome = "any", org: str | None = None, output: Output = "text") -> None:
    """Remove a policy: what it said of runs is then said by a broader one, or they stay for ever.

    Parameters
    ----------
    project
        As it was set.
    outcome
        As it was set.
    org
        The default org when not given.
    output
        `json` for machines.

    """
    settings = configured()
    of = org or settings.default_org
    operate(settings, lambda op: retention.unset_policy(op, of, project, outcome))
    answer(output, {"project": project, "outcome": outcome}, "removed")


def show(*, org: str | None = None, output: Output = "text") -> None:
    """List policies and holds.

    Parameters
    ----------
    org
        The default org when not given.
    output
        `json` for machines.

    """
    settings = configured()
    of = org or settings.default_org
    kept = operate(settings, lambda op: retention.kept(op, of))
    facts = {
        "policies": [p._asdict() | {"keep": p.keep.total_seconds()} for p in kept.policies],
        "holds": [h._asdict() for h in kept.holds],
    }
    lines = [_line(policy) for policy in kept.policies]
    lines += [f"held: {_place(h)} ({h.reason}, {h.placed_by})" for h in kept.holds]
    answer(output, facts, "\n".join(lines) or "no policy: runs stay for ever")


def preview(*, org: str | None = None, output: Output = "text") -> None:
    """Say what the next passes would delete; nothing is changed.

    Parameters
    ----------
    org
        The default org when not given.
    output
        `json` for machines.

    """
    settings = configured()
    of = org or settings.default_org
    found = operate(settings, lambda op: retention.preview(op, of))
    facts = [
        p._asdict() | {"keep": p.keep.total_seconds(), "oldest": str(p.oldest), "newest": str(p.newest)} for p in found
    ]
    lines = [
        f"{p.project}, {p.outcome}: {p.runs} runs that ended {p.oldest:%Y-%m-%d} to {p.newest:%Y-%m-%d}" for p in found
    ]
    answer(output, {"expired": facts}, "\n".join(lines) or "nothing is past its policy")


def hold(
    project: str,
    run: str = "",
    *,
    reason: str,
    domain: str | None = None,
    org: str | None = None,
    output: Output = "text",
) -> None:
    """Never delete RUN, or anything of PROJECT, until it is released.

    Parameters
    ----------
    project
        Name of the project.
    run
        Name of the run: the project as a whole when not given.
    reason
        Why, for the list of holds.
    domain
        Of the run: the first domain when not given.
    org
        The default org when not given.
    output
        `json` for machines.

    """
    settings = configured()
    of = domain or settings.domains[0] if run else ""
    new = Hold(org or settings.default_org, ids.name(project, what="project"), of, run, reason, str(OPERATOR))
    operate(settings, lambda op: retention.hold(op, new))
    answer(output, new._asdict(), f"held: {_place(new)}")


def release(
    project: str, run: str = "", *, domain: str | None = None, org: str | None = None, output: Output = "text"
) -> None:
    """End a hold.

    Parameters
    ----------
    project
        As it was held.
    run
        As it was held.
    domain
        Of the run: the first domain when not given.
    org
        The default org when not given.
    output
        `json` for machines.

    """
    settings = configured()
    of = domain or settings.domains[0] if run else ""
    operate(settings, lambda op: retention.release(op, org or settings.default_org, project, of, run))
    answer(output, {"project": project, "domain": of, "run": run}, "released")


def _place(hold: Hold) -> str:
    return f"run {hold.project}/{hold.domain}/{hold.run}" if hold.run else f"project {hold.project}"


def _line(policy: Policy) -> str:
    return f"{policy.project or 'all projects'}, {policy.outcome}: deleted {policy.keep.days} days after their end"
