"""What is deployed: the resources of the assembly's stacks by physical id, as CloudFormation lists them.

This is where every live population starts. A stack that is missing or in the middle of a change is a ReadFailed: a
population that may be incomplete proves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalbox_evidence.errors import ReadFailed
from signalbox_evidence.live.reader import Probe

_SETTLED = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


@dataclass(frozen=True)
class StackState:
    name: str
    arn: str
    termination_protection: bool | None


class Deployment:
    """The stacks of those names, in one account and region, asked for through `probe`, and what they were given.

    `brought_along`: ids, or ARNs of keys, by resource type.
    """

    def __init__(self, probe: Probe, stacks: Sequence[str], brought_along: Mapping[str, Sequence[str]]) -> None:
        self.probe = probe
        self._names = stacks
        self._brought_along = brought_along

    def stacks(self) -> list[StackState]:
        found: list[StackState] = []
        for name in self._names:
            rows = self.probe.rows("cloudformation:DescribeStacks", "Stacks", StackName=name)
            if len(rows) != 1:
                raise ReadFailed(f"stack {name}: wanted one, got {len(rows)}")
            status = rows[0]["StackStatus"]
            if status not in _SETTLED:
                raise ReadFailed(f"stack {name}: wanted a settled stack, got {status}")
            found.append(StackState(name, rows[0]["StackId"], rows[0].get("EnableTerminationProtection")))
        return found

    def types_in(self, stack: str) -> set[str]:
        return {row["ResourceType"] for row in self._resources(stack)}

    def ids(self, *types: str) -> list[str]:
        """Physical ids of the resources of those types, over all stacks, and of those brought along; sorted."""
        given = {it for type_name in types for it in self._brought_along.get(type_name, ())}
        return sorted({*self.made(*types), *given})

    def made(self, *types: str) -> list[str]:
        """Physical ids of the resources of those types, over all stacks, sorted."""
        self.stacks()
        found = {
            row["PhysicalResourceId"]
            for name in self._names
            for row in self._resources(name)
            if row["ResourceType"] in types and row.get("PhysicalResourceId")
        }
        return sorted(found)

    def _resources(self, stack: str) -> list[dict[str, str]]:
        field = "StackResourceSummaries"
        return self.probe.rows("cloudformation:ListStackResources", field, StackName=stack)


def complete(what: str, declared: Sequence[str], described: Sequence[str]) -> None:
    """Raises ReadFailed when an id that CloudFormation lists was not described."""
    lost = sorted(set(declared) - set(described))
    if lost:
        raise ReadFailed(f"{what}: CloudFormation lists {lost}, which the service does not describe")
