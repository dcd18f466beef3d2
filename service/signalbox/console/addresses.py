"""The addresses of pages, and what their queries ask for. The families are those that the SDK prints links to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from signalbox.control.console_views import ListPosition, Look
from signalbox.errors import Invalid
from signalbox.ids import ROOT_ACTION, RunKey, ScopeKey, name
from signalbox.rules.phases import Phase
from signalbox.store.run_views import RunPosition

FAMILIES: Mapping[str, str] = {
    "runs": "Runs",
    "tasks": "Tasks",
    "triggers": "Triggers",
    "apps": "Apps",
    "artifacts": "Artifacts",
    "tracked-runs": "Tracked runs",
}

_LONGEST_TEXT = 200
_ACTION_NAME = 256
_REVISION = re.compile(r"[0-9]{1,18}")


def scope(key: ScopeKey, family: str = "runs") -> str:
    return f"/v2/domain/{quote(key.domain, safe='')}/project/{quote(key.project, safe='')}/{family}"


def run(key: RunKey) -> str:
    return f"{scope(key.scope)}/{quote(key.run, safe='')}"


def abort(key: RunKey) -> str:
    return f"{run(key)}/abort"


@dataclass(frozen=True, kw_only=True)
class RunsQuery:
    """`text`: in the run's name. `task`: the task's whole short name."""

    phase: Phase | None = None
    text: str = ""
    task: str = ""
    after: RunPosition | None = None
    before: RunPosition | None = None

    @classmethod
    def parse(cls, query: QueryParams) -> RunsQuery:
        """Raises Invalid."""
        return cls(
            phase=_phase(query),
            text=_text(query, "q").strip(),
            task=_text(query, "task").strip(),
            after=_run_position(query, "after"),
            before=_run_position(query, "before"),
        )

    def url(self, key: ScopeKey, **changes: object) -> str:
        """The query with changes; paging begins anew unless they say otherwise."""
        changed = replace(self, **({"after": None, "before": None} | changes))  # pyright: ignore[reportArgumentType]  # checked by the constructor's callers, in templates
        return _with(scope(key), changed._fields())

    def live(self, key: ScopeKey) -> str:
        return _with(scope(key, "live"), self._fields())

    def _fields(self) -> dict[str, str]:
        return {
            "phase": self.phase or "",
            "q": self.text,
            "task": self.task,
            "after": _written(self.after),
            "before": _written(self.before),
        }


@dataclass(frozen=True, kw_only=True)
class RunQuery:
    """What a run's page shows: which actions, and one of them in full."""

    look: Look
    selected: str = ROOT_ACTION

    @classmethod
    def parse(cls, query: QueryParams) -> RunQuery:
        """Raises Invalid."""
        phase = _phase(query)
        parent = query.get("under")
        look = Look(
            flat=phase is not None or parent is not None or query.get("list") == "1",
            phase=phase,
            parent=None if parent is None else name(parent, what="under", longest=_ACTION_NAME),
            group=_text(query, "group") if parent is not None and "group" in query else None,
            failed_first=query.get("first") == "failed",
            after=_list_position(query),
        )
        return cls(look=look, selected=name(query.get("i") or ROOT_ACTION, what="i", longest=_ACTION_NAME))

    def url(self, key: RunKey, *, i: str = "") -> str:
        """The page with another action in full."""
        return _with(run(key), _look_fields(self.look) | {"i": i or self.selected})

    def looking(self, key: RunKey, **look: object) -> str:
        """The page with another choice of actions."""
        other = Look(**look)  # pyright: ignore[reportArgumentType]  # checked by the constructor's callers, in templates
        return _with(run(key), _look_fields(other) | {"i": "" if self.selected == ROOT_ACTION else self.selected})

    def failed_first(self, key: RunKey, *, on: bool) -> str:
        """The page with failures first, or in order of creation."""
        other = RunQuery(look=replace(self.look, failed_first=on, after=None), selected=self.selected)
        return other.url(key)

    def following(self, key: RunKey, after: ListPosition) -> str:
        return RunQuery(look=replace(self.look, after=after), selected=self.selected).url(key)

    def live(self, key: RunKey) -> str:
        return _with(f"{scope(key.scope, 'live')}/{quote(key.run, safe='')}", self._fields())

    def _fields(self) -> dict[str, str]:
        return _look_fields(self.look) | {"i": self.selected}


def _look_fields(look: Look) -> dict[str, str]:
    fields = {
        "phase": look.phase or "",
        "under": look.parent or "",
        "first": "failed" if look.failed_first else "",
        "after": ",".join(str(part) for part in (int(look.after.rest), *look.after[1:])) if look.after else "",
    }
    if look.flat and look.phase is None and look.parent is None:
        fields["list"] = "1"
    if look.group is not None:
        fields["group"] = look.group
    return fields


def _with(path: str, fields: Mapping[str, str]) -> str:
    """Empty fields are left out; of a group the empty name means those in none."""
    kept = {name: value for name, value in fields.items() if value or name == "group"}
    return f"{path}?{urlencode(kept)}" if kept else path


def _phase(query: QueryParams) -> Phase | None:
    value = query.get("phase")
    if not value:
        return None
    try:
        return Phase(value)
    except ValueError:
        raise Invalid(f"phase: one of {', '.join(Phase)}; got {value[:50]!r}") from None


def _text(query: QueryParams, field: str) -> str:
    value = query.get(field, "")
    if len(value) > _LONGEST_TEXT or "\0" in value:
        raise Invalid(f"{field}: at most {_LONGEST_TEXT} characters and no null; got {len(value)}")
    return value


def _written(position: RunPosition | None) -> str:
    return f"{position.at.isoformat()},{position.name}" if position else ""


def _run_position(query: QueryParams, field: str) -> RunPosition | None:
    value = query.get(field)
    if not value:
        return None
    at, _, run_name = value.partition(",")
    try:
        parsed = datetime.fromisoformat(at)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise Invalid(f"{field}: <time>,<run> expected, as in this page's own links; got {value[:50]!r}")
    return RunPosition(parsed, "", "", name(run_name, what=field))


def _list_position(query: QueryParams) -> ListPosition | None:
    value = query.get("after")
    if not value:
        return None
    rest, _, revision = value.partition(",")
    if rest not in {"0", "1"} or not _REVISION.fullmatch(revision):
        raise Invalid(f"after: a position of this page's own links expected; got {value[:50]!r}")
    return ListPosition(rest == "1", int(revision))
