"""What the console shows of a run: a window of its actions, and what changes in it.

The window is a tree whose large groups are folded into counts, or a page of a flat list. It holds at most `WINDOW`
lines however large the run is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from signalbox.control.hub import Hub, run_topic, scope_topic
from signalbox.errors import NotFound
from signalbox.ids import ROOT_ACTION, ActionKey, RunKey, ScopeKey
from signalbox.op import Op
from signalbox.rules.phases import TERMINAL, Phase
from signalbox.rules.roles import Permission
from signalbox.store import console_views, run_views
from signalbox.store.console_views import Head, Line, Part
from signalbox.store.db import Tx
from signalbox.store.run_views import ActionPosition

WINDOW = 200
"""Lines of a tree, or of a page of a list."""
FOLD = 50
"""A larger part of a tree is folded into one line of counts."""
FAILED_SHOWN = 5
"""Lines that a fold shows nevertheless: its first failures."""

FAILED = (Phase.FAILED, Phase.TIMED_OUT)
_REST = tuple(phase for phase in Phase if phase not in FAILED)

_RUN_EVERY = 0.25
_LIST_EVERY = 0.5
_LIST_UNHINTED = timedelta(seconds=1)


class ListPosition(NamedTuple):
    """Where a page of a list ended: `rest` says that the failures, if they come first, are behind it."""

    rest: bool
    created_revision: int


@dataclass(frozen=True, kw_only=True)
class Look:
    """Which actions of a run to show: a tree, or a flat list when `flat`. Other fields narrow and order the list.

    `group` None: any; empty: those in no group.
    """

    flat: bool = False
    phase: Phase | None = None
    parent: str | None = None
    group: str | None = None
    failed_first: bool = False
    after: ListPosition | None = None


@dataclass(frozen=True, kw_only=True)
class Node:
    """A line of a window: an action, or (with `fold`) the counts of a part, whose members follow if it is small."""

    depth: int
    line: Line | None = None
    fold: Part | None = None

    @property
    def id(self) -> str:
        """Unique in the window, and the same in each window of the run."""
        if self.line is not None:
            return f"action-{self.line.name}"
        assert self.fold is not None  # noqa: S101  # a node is one of the two
        # Names of groups hold anything; names of actions hold no colon.
        return f"fold-{self.fold.parent}:{hashlib.sha256(self.fold.group_name.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, kw_only=True)
class Window:
    """All of one moment. `next` leads on in a list; `cut`: the tree has more than fits."""

    run: RunKey
    head: Head
    counts: Mapping[Phase, int]
    nodes: Sequence[Node]
    next: ListPosition | None
    cut: bool

    @property
    def settled(self) -> bool:
        """Nothing of the run can change any more."""
        return all(phase in TERMINAL for phase in self.counts)


async def window(op: Op, run: RunKey, look: Look) -> Window:
    """Raises NotFound."""
    op.require(Permission.RUN_READ)
    async with op.db.snapshot() as tx:
        head = await console_views.head(tx, run)
        if head is None:
            raise NotFound(f"run {run.run}: not found in {run.project}/{run.domain}")
        counts = await console_views.counts(tx, run)
        if look.flat:
            nodes, following = await _list(tx, run, look)
            cut = False
        else:
            (nodes, cut), following = await _tree(tx, run, failed_first=look.failed_first), None
    return Window(run=run, head=head, counts=counts, nodes=nodes, next=following, cut=cut)


async def watch_run(op: Op, hub: Hub, run: RunKey, *, look_every: timedelta) -> AsyncGenerator[int | None]:
    """The run's newest revision now and after each change; None when it is still that. Raises NotFound."""
    op.require(Permission.RUN_READ)
    seen: int | None = None
    loop = asyncio.get_running_loop()
    with hub.subscribe(run_topic(run)) as subscription:
        while True:
            async with op.db.autocommit() as tx:
                newest = await run_views.newest_revision(tx, run)
            if newest is None:
                raise NotFound(f"run {run.run}: not found in {run.project}/{run.domain}")
            began = loop.time()
            yield newest if newest != seen else None
            seen = newest
            # Looks are apart, so that a fan-out of thousands costs each viewer a few looks and not thousands; the
            # further apart the more one costs, so that a large run takes up a fifth of the time at most.
            await asyncio.sleep(min(max(_RUN_EVERY, 4 * (loop.time() - began)), look_every.total_seconds()))
            await subscription.changed(within=look_every)


async def action_revision(op: Op, key: ActionKey) -> int | None:
    """Revision of the action's last change; None when there is no such action."""
    op.require(Permission.RUN_READ)
    async with op.db.autocommit() as tx:
        return await run_views.revision(tx, key)


async def watch_scope(op: Op, hub: Hub, scope: ScopeKey, *, look_every: timedelta) -> AsyncGenerator[None]:
    """A reason to look at the list of runs again: now, when one begins or ends, and about each second.

    Nothing hints at the phases in the middle of a run, so that the list looks by itself too.
    """
    op.require(Permission.RUN_READ)
    with hub.subscribe(scope_topic(scope)) as subscription:
        while True:
            yield None
            await asyncio.sleep(_LIST_EVERY)
            await subscription.changed(within=min(_LIST_UNHINTED, look_every))


async def _list(tx: Tx, run: RunKey, look: Look) -> tuple[list[Node], ListPosition | None]:
    """A page of the list, and where the next one begins. In two strides when failures come first."""
    strides: list[tuple[bool, Sequence[Phase] | None]] = [(True, None if look.phase is None else [look.phase])]
    if look.failed_first and look.phase is None:
        strides = [(False, FAILED), (True, _REST)]
    found: list[tuple[bool, Line]] = []
    for rest, phases in strides:
        if look.after is not None and look.after.rest > rest:
            continue
        behind = look.after if look.after is not None and look.after.rest == rest else None
        lines = await console_views.page(
            tx,
            run,
            phases=phases,
            parent=look.parent,
            group=look.group,
            after=ActionPosition(behind.created_revision) if behind else None,
            limit=WINDOW + 1 - len(found),
        )
        found += [(rest, line) for line in lines]
    following = None
    if len(found) > WINDOW:
        rest, last = found[WINDOW - 1]
        following = ListPosition(rest, last.created_revision)
    return [Node(depth=0, line=line) for _, line in found[:WINDOW]], following


class _Tree:
    """What is loaded of a tree, level by level: its lines by part, and the parts of each parent."""

    def __init__(self) -> None:
        self.parts: defaultdict[str, list[Part]] = defaultdict(list)
        self.lines: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
        self.size = 0
        self.cut = False

    def nodes(self, parent: str, depth: int, *, failed_first: bool) -> list[Node]:
        """Lines below the parent, depth first; siblings in order of creation, or the failed ones before the others."""
        siblings: list[tuple[bool, int, list[Node]]] = []
        for part in self.parts[parent]:
            lines = self.lines[part.parent, part.group_name]
            if part.group_name or part.size > FOLD:
                inner = [
                    node
                    for line in _sorted(lines, failed_first=failed_first)
                    for node in self._below(line, depth + 1, failed_first=failed_first)
                ]
                fold = Node(depth=depth, fold=part)
                failed = any(phase in part.phases for phase in FAILED)
                siblings.append((failed, part.created_revision, [fold, *inner]))
            else:
                siblings += [
                    (line.phase in FAILED, line.created_revision, self._below(line, depth, failed_first=failed_first))
                    for line in lines
                ]
        siblings.sort(key=lambda sibling: (failed_first and not sibling[0], sibling[1]))
        return [node for _, _, nodes in siblings for node in nodes]

    def _below(self, line: Line, depth: int, *, failed_first: bool) -> list[Node]:
        return [Node(depth=depth, line=line), *self.nodes(line.name, depth + 1, failed_first=failed_first)]


def _sorted(lines: Sequence[Line], *, failed_first: bool) -> list[Line]:
    return sorted(lines, key=lambda line: failed_first and line.phase not in FAILED)


async def _tree(tx: Tx, run: RunKey, *, failed_first: bool) -> tuple[list[Node], bool]:
    tree = _Tree()
    # The root: the only action without a parent.
    top = await console_views.page(tx, run, phases=None, parent="", group=None, after=None, limit=1)
    level = top
    while level and not tree.cut:
        level = await _next_level(tx, run, tree, [line.name for line in level])
    nodes = [Node(depth=0, line=line) for line in top] + tree.nodes(ROOT_ACTION, 1, failed_first=failed_first)
    return nodes[:WINDOW], tree.cut or len(nodes) > WINDOW


async def _next_level(tx: Tx, run: RunKey, tree: _Tree, parents: Sequence[str]) -> list[Line]:
    """Load the children of the parents as far as they fit; gives them."""
    parts = await console_views.parts(tx, run, parents)
    for part in parts:
        tree.parts[part.parent].append(part)
    room = WINDOW - tree.size
    small = [part for part in parts if part.size <= FOLD]
    large = [part for part in parts if part.size > FOLD and any(phase in part.phases for phase in FAILED)]
    lines = await console_views.members(tx, run, small, phases=None, each=FOLD, limit=room + 1) if small else []
    if large:
        lines += await console_views.members(tx, run, large, phases=FAILED, each=FAILED_SHOWN, limit=room + 1)
    tree.cut = len(lines) > room
    lines = lines[:room]
    tree.size += len(lines)
    for line in lines:
        tree.lines[line.parent, line.group_name].append(line)
    return lines
