"""What a resource is, as far as CloudFormation cannot change it in place: its type and its create-only values.

The digest of a resource follows references: it also changes when something that a create-only property refers to
becomes another resource. That is how a cluster is replaced because of its subnet group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast  # property values are free JSON

from signalbox_guards.assembly import Assembly, Stack
from signalbox_guards.canonical import Json, canonical, digest
from signalbox_guards.intrinsics import Intrinsics
from signalbox_guards.schemas import at, create_only
from signalbox_guards.stateful import Guarded, guarded

ABSENT_STATE = "absent"
_DEFAULT_SNAPSHOT = "AWS::RDS::DBCluster"
PROTECTED_VALUES = (True, "true", "ACTIVE")


@dataclass(frozen=True, kw_only=True)
class State:
    """One resource that will exist. Values are resolved, by path "A/B"; paths where nothing is written are left out.

    `conditional` replaces only under conditions that the provider decides.
    """

    stack: str
    logical_id: str
    type: str
    always: Mapping[str, Any]
    conditional: Mapping[str, Any]
    deletion_policy: str
    update_replace_policy: str
    deletion_protected: bool

    @property
    def address(self) -> str:
        return f"{self.stack}/{self.logical_id}"

    @cached_property
    def guarded(self) -> Guarded | None:
        return guarded(self.type)

    @property
    def values(self) -> Mapping[str, Any]:
        return {**self.always, **self.conditional}


def _deletion_policy(resource: Json) -> str:
    """As written, else the default of the template reference: Snapshot for clusters and lone instances, else Delete."""
    lone = resource["Type"] == "AWS::RDS::DBInstance" and "DBClusterIdentifier" not in resource.get("Properties", {})
    default = "Snapshot" if lone or resource["Type"] == _DEFAULT_SNAPSHOT else "Delete"
    return str(resource.get("DeletionPolicy", default))


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


class States:
    """The states of one assembly's resources by address, "stack/LogicalId"."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self._intrinsics = Intrinsics(assembly)
        self.all: dict[str, State] = {}
        for stack in assembly.stacks.values():
            for logical_id, resource in stack.resources.items():
                if self._intrinsics.exists(stack, resource) is not False:
                    self.all[f"{stack.name}/{logical_id}"] = self._state(stack, logical_id, resource)
        self._digests: dict[str, str] = {}

    def _state(self, stack: Stack, logical_id: str, resource: Json) -> State:
        properties = self._intrinsics.resolve(stack, resource.get("Properties", {}))
        schema = create_only(resource["Type"], stack.region)
        always, conditional = (
            {"/".join(path): value for path in paths if (value := at(properties, path)) is not None}
            for paths in (schema.always, schema.conditional)
        )
        listed = guarded(resource["Type"])
        if listed and listed.order and resource.get("DependsOn"):
            conditional["DependsOn"] = sorted(_as_list(resource["DependsOn"]))  # an order, not a value
        if self._intrinsics.exists(stack, resource) is None:
            conditional["Condition"] = resource["Condition"]
        return State(
            stack=stack.name,
            logical_id=logical_id,
            type=resource["Type"],
            always=always,
            conditional=conditional,
            deletion_policy=_deletion_policy(resource),
            update_replace_policy=str(resource.get("UpdateReplacePolicy", "Delete")),
            deletion_protected=any(
                properties.get(name) in PROTECTED_VALUES for name in ("DeletionProtection", "DeletionProtectionEnabled")
            ),
        )

    def of_stack(self, stack: str) -> list[State]:
        return [state for state in self.all.values() if state.stack == stack]

    def value_digests(self, address: str) -> dict[str, str]:
        """The digest of each create-only value, 16 hexadecimal digits, by path."""
        return {path: self._value_digest(value, address) for path, value in sorted(self.all[address].values.items())}

    def digest(self, address: str) -> str:
        """What the resource is, in 64 hexadecimal digits; `absent` when there is none."""
        if address not in self.all:
            return ABSENT_STATE
        if address not in self._digests:
            self._digests[address] = "circular"  # a circle says nothing more of its members
            self._digests[address] = digest(canonical([self.all[address].type, self.value_digests(address)]))
        return self._digests[address]

    def _value_digest(self, value: Any, owner: str) -> str:
        return digest(canonical(self._deep(value, owner)))[:16]

    def _deep(self, value: Any, owner: str) -> Any:
        if isinstance(value, list):
            return [self._deep(item, owner) for item in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        table = cast("Json", value)
        if len(table) == 1 and isinstance(table.get("Reference"), str):
            target = table["Reference"].partition(".")[0]
            return {**table, "is": self.digest(target) if target != owner else "itself"}
        return {key: self._deep(item, owner) for key, item in table.items()}
