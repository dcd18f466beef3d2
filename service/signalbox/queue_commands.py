"""Commands about queues, and why something waits."""

from __future__ import annotations

from typing import Any

from signalbox import ids
from signalbox.commands import configured, operate
from signalbox.control import queues
from signalbox.errors import Invalid
from signalbox.ids import ROOT_ACTION, ActionKey
from signalbox.op import Op
from signalbox.output import Output, answer
from signalbox.store.queues import Fairness, Queue, QueueState


def why(
    run: str,
    action: str = ROOT_ACTION,
    *,
    project: str | None = None,
    domain: str | None = None,
    org: str | None = None,
    output: Output = "text",
) -> None:
    """Say in one sentence why ACTION of RUN does not run now.

    Parameters
    ----------
    run
        Name of the run.
    action
        Name of the action: its root when not given.
    project
        The first default project when not given.
    domain
        The first domain when not given.
    org
        The default org when not given.
    output
        `json` for machines.

    """
    settings = configured()
    key = ActionKey(
        ids.name(org or settings.default_org, what="org"),
        ids.name(project or settings.default_projects[0], what="project"),
        ids.name(domain or settings.domains[0], what="domain"),
        ids.name(run, what="run"),
        ids.name(action, what="action"),
    )
    reason = operate(settings, lambda op: queues.why(op, key, ttl=settings.lease_ttl))
    answer(output, {"action": str(key), "reason": reason}, reason)


def configure(
    name: str,
    *,
    priority: int = 0,
    fairness: Fairness = Fairness.ROUND_ROBIN,
    max_runs: int | None = None,
    max_actions: int | None = None,
    max_depth: int | None = None,
    clusters: str = "",
    drain: bool = False,
    org: str | None = None,
    output: Output = "text",
) -> None:
    """Configure queue NAME; what is not given is back at its default.

    Parameters
    ----------
    name
        Of the queue. `default` is the one of runs that name none.
    priority
        Queues of higher priority go first; nothing is preempted.
    fairness
        `round_robin`: projects take turns; `fifo`: the oldest goes first.
    max_runs
        Most runs whose root a cluster holds.
    max_actions
        Most attempts that clusters hold, parents that wait for children not counted.
    max_depth
        When so many actions wait, no run begins.
    clusters
        Names of the clusters that it goes to, separated by commas; any when not given.
    drain
        No run begins in it; what is in it goes on.
    org
        The default org when not given.
    output
        `json` for machines.

    """
    for what, value in (("max_runs", max_runs), ("max_actions", max_actions), ("max_depth", max_depth)):
        if value is not None and value < 1:
            raise Invalid(f"{what}: at least 1, got {value}")
    settings = configured()
    queue = Queue(
        org=ids.name(org or settings.default_org, what="org"),
        name=ids.name(name, what="name"),
        state=QueueState.DRAINING if drain else QueueState.ACTIVE,
        priority=priority,
        fairness=fairness,
        max_runs=max_runs,
        max_actions=max_actions,
        max_depth=max_depth,
        clusters=[ids.name(part.strip(), what="clusters") for part in clusters.split(",") if part.strip()],
    )
    operate(settings, lambda op: queues.configure(op, queue))
    answer(output, _facts(queue), _line(queue))


def show(*, org: str | None = None, output: Output = "text") -> None:
    """List the queues that are configured.

    Parameters
    ----------
    org
        The default org when not given.
    output
        `json` for machines.

    """
    settings = configured()
    found = operate(settings, lambda op: _all(op, org or settings.default_org))
    answer(
        output,
        {"queues": [_facts(queue) for queue in found]},
        "\n".join(map(_line, found)) or "no queue is configured: all are open, without limits",
    )


async def _all(op: Op, org: str) -> list[Queue]:
    return list(await queues.of_org(op, org))


def _facts(queue: Queue) -> dict[str, Any]:
    return vars(queue) | {"clusters": list(queue.clusters)}


def _line(queue: Queue) -> str:
    limits = {"runs": queue.max_runs, "actions": queue.max_actions, "depth": queue.max_depth}
    parts = [f"{queue.name}: {queue.state}, priority {queue.priority}, {queue.fairness}"]
    parts += [f"at most {value} {what}" for what, value in limits.items() if value is not None]
    if queue.clusters:
        parts.append(f"only {', '.join(queue.clusters)}")
    return ", ".join(parts)
