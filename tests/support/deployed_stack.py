"""A stack in the emulator as its services describe it now: nothing comes from the engine's memory."""

import json
from collections.abc import Callable
from typing import Any, cast

from signalbox_emulator.aws import ACCOUNT
from signalbox_emulator.capabilities import excuses
from signalbox_emulator.cloudformation.dynamic import resolve_dynamic
from signalbox_emulator.cloudformation.intrinsics import Scope, resolve
from signalbox_emulator.types.kind import Target
from signalbox_emulator.types.table import TABLE

JsonObject = dict[str, Any]


class DeployedStack:
    """One stack; `clients` gives the boto3 client of a service and a region."""

    def __init__(self, name: str, region: str, clients: Callable[[str, str], Any]) -> None:
        self._region, self._clients = region, clients
        cloudformation = clients("cloudformation", region)
        body = cloudformation.get_template(StackName=name)["TemplateBody"]
        self._template = cast("JsonObject", body if isinstance(body, dict) else json.loads(body))
        resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        self.ids: dict[str, str] = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
        pages = cloudformation.get_paginator("list_exports").paginate()
        exports: dict[str, str] = {e["Name"]: e["Value"] for page in pages for e in page["Exports"]}
        given = cloudformation.describe_stacks(StackName=name)["Stacks"][0].get("Parameters", [])
        pseudo = {"AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": region, "AWS::StackName": name}
        self._scope = Scope(
            pseudo=pseudo | {"AWS::URLSuffix": "amazonaws.com"},
            parameters={p["ParameterKey"]: p.get("ResolvedValue", p["ParameterValue"]) for p in given},
            mappings=self._template.get("Mappings", {}),
            conditions=self._template.get("Conditions", {}),
            zones=self._zones,
            ref=self.ids.__getitem__,
            attribute=self._attribute,
            export=exports.__getitem__,
        )
        self._targets: dict[str, Target] = {}

    def lost(self, logical: str) -> tuple[list[str], list[str]]:
        """Return the paths of a resource that do not read back as the template says: excused ones, and others."""
        target = self._target(logical)
        kind = TABLE[target.type]
        lost = kind.lost(target, kind.look(target))
        others = [path for path in lost if not excuses(kind.type, path)]
        return [path for path in lost if path not in others], [f"{logical} {kind.type}.{path}" for path in others]

    def properties(self, logical: str) -> JsonObject:
        return self._target(logical).properties

    def _target(self, logical: str) -> Target:
        if logical not in self._targets:
            spec = self._template["Resources"][logical]
            resolved = resolve(spec.get("Properties", {}), self._scope)
            self._targets[logical] = Target(
                type=spec["Type"],
                region=self._region,
                account=ACCOUNT,
                properties=resolve_dynamic(resolved, lambda service: self._clients(service, self._region)),
                clients=self._clients,
                id=self.ids[logical],
            )
        return self._targets[logical]

    def _attribute(self, logical: str, name: str) -> Any:
        target = self._target(logical)
        kind = TABLE[target.type]
        return kind.attribute(target, kind.look(target), name)

    def _zones(self, region: str) -> list[str]:
        zones = self._clients("ec2", region).describe_availability_zones()["AvailabilityZones"]
        return [zone["ZoneName"] for zone in zones]
