"""Policy documents of IAM, KMS, S3 and Backup as statements: one parser for all, and for both modes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast  # a policy document is free JSON

ACCOUNT_SYMBOL = "${AWS::AccountId}"
_ARN_ACCOUNT = re.compile(r"^arn:[^:]*:[^:]*:[^:]*:([^:]*):")


@dataclass(frozen=True)
class Principal:
    """`kind` is AWS, Service, Federated or CanonicalUser; an anonymous `*` is of kind AWS."""

    kind: str
    value: str

    @property
    def account(self) -> str | None:
        """The account of an AWS principal; None when the text does not tell one (a `*`, a unique id)."""
        if re.fullmatch(r"\d{12}", self.value) or self.value == ACCOUNT_SYMBOL:
            return self.value
        match = _ARN_ACCOUNT.match(self.value)
        return match.group(1) if match else None

    @property
    def is_account_root(self) -> bool:
        return self.value == self.account or self.value.endswith(":root")

    @property
    def is_within_template(self) -> bool:
        """A reference to a resource of the same template, whose account is the template's own."""
        return re.fullmatch(r"\$\{[^{}:]+/[^{}:]+\}", self.value) is not None


@dataclass(frozen=True, kw_only=True)
class Statement:
    sid: str
    allow: bool
    principals: tuple[Principal, ...]
    not_principal: bool
    actions: tuple[str, ...]
    not_action: bool
    resources: tuple[str, ...]
    not_resource: bool
    condition_keys: frozenset[str]  # lower case

    def grants(self, action: str) -> bool:
        """Whether this is an Allow whose actions cover `action` (case-insensitive, with wild cards)."""
        if not self.allow:
            return False
        listed = any(fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions)
        return listed != self.not_action

    @property
    def title(self) -> str:
        return self.sid or ", ".join(self.actions[:3])


def _words(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(str(item) for item in cast("list[object]", value))
    return (str(value),)


def _principals(value: object) -> tuple[Principal, ...]:
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return tuple(Principal(kind, word) for kind, words in sorted(table.items()) for word in _words(words))
    return tuple(Principal("AWS", word) for word in _words(value))


def _statement(row: Mapping[str, Any]) -> Statement:
    # a qualifier such as ForAllValues:StringEquals is true on a missing key, so its keys do not restrict
    conditions: Mapping[str, Any] = row.get("Condition") or {}
    keys = {
        key.lower()
        for operator, entries in conditions.items()
        if not operator.lower().startswith("forallvalues:") and not operator.lower().endswith("ifexists")
        for key in entries
    }
    return Statement(
        sid=str(row.get("Sid", "")),
        allow=row.get("Effect") == "Allow",
        principals=_principals(row.get("Principal", row.get("NotPrincipal"))),
        not_principal="NotPrincipal" in row,
        actions=_words(row.get("Action", row.get("NotAction"))),
        not_action="NotAction" in row,
        resources=_words(row.get("Resource", row.get("NotResource"))),
        not_resource="NotResource" in row,
        condition_keys=frozenset(keys),
    )


def statements(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a policy document, in its order."""
    written: Any = document.get("Statement", [])
    rows = cast("Sequence[Mapping[str, Any]]", [written] if isinstance(written, dict) else written)
    return tuple(_statement(row) for row in rows)
