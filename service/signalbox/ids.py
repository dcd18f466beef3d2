"""Names of things, parsed at the edge and trusted inside.

Every key leads with `org`. Names are what Flyte allows: letters, digits, `-`, `_` and `.`; none holds a slash, so that
keys can be joined by slashes in topics, logs and audit rows.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NewType

from signalbox.errors import Invalid

Org = NewType("Org", str)

ROOT_ACTION = "a0"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
# Task names are dotted Python paths; `<`, `>` and such appear in names of local functions.
_TASK_NAME = re.compile(r"[^\x00-\x1f/]+\Z")


class ProjectKey(NamedTuple):
    org: str
    project: str

    def __str__(self) -> str:
        return "/".join(self)


class ScopeKey(NamedTuple):
    """A project in one of its domains."""

    org: str
    project: str
    domain: str

    def __str__(self) -> str:
        return "/".join(self)


class RunKey(NamedTuple):
    org: str
    project: str
    domain: str
    run: str

    @property
    def scope(self) -> ScopeKey:
        return ScopeKey(self.org, self.project, self.domain)

    def __str__(self) -> str:
        return "/".join(self)


class ActionKey(NamedTuple):
    org: str
    project: str
    domain: str
    run: str
    action: str

    @property
    def run_key(self) -> RunKey:
        return RunKey(self.org, self.project, self.domain, self.run)

    def __str__(self) -> str:
        return "/".join(self)


class TaskKey(NamedTuple):
    """One version of a task."""

    org: str
    project: str
    domain: str
    name: str
    version: str

    @property
    def scope(self) -> ScopeKey:
        return ScopeKey(self.org, self.project, self.domain)

    def __str__(self) -> str:
        return "/".join(self)


class ClusterKey(NamedTuple):
    org: str
    cluster: str

    def __str__(self) -> str:
        return "/".join(self)


def name(value: str, *, what: str, longest: int = 63) -> str:
    """`value` if it is a name of at most `longest` characters. Raises Invalid, naming `what`."""
    if len(value) > longest:
        raise Invalid(f"{what}: at most {longest} characters, got {len(value)}")
    if not _NAME.match(value):
        raise Invalid(f"{what}: letters, digits, '.', '_' and '-', starting with a letter or digit; got {value!r}")
    return value


def task_name(value: str, *, what: str, longest: int = 512) -> str:
    """`value` if it can name a task or a version of one. Raises Invalid, naming `what`."""
    if not value or len(value) > longest:
        raise Invalid(f"{what}: 1 to {longest} characters, got {len(value)}")
    if not _TASK_NAME.match(value):
        raise Invalid(f"{what}: no slash and no control character; got {value!r}")
    return value


def cache_key(value: str, *, what: str, longest: int = 512) -> str:
    """`value` if results can be kept under it: it must fit into an index. The SDK's keys have 44 characters."""
    if not 1 <= len(value) <= longest:
        raise Invalid(f"{what}: 1 to {longest} characters, got {len(value)}")
    return value
