"""Synthetics canaries."""

import io
import zipfile
from typing import Any

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ID, Kind, Read, Target

JsonObject = dict[str, Any]

_RENAMED = {
    "FailureRetentionPeriod": "FailureRetentionPeriodInDays",
    "SuccessRetentionPeriod": "SuccessRetentionPeriodInDays",
    "VPCConfig": "VpcConfig",
}
_OF_CLOUDFORMATION = {"StartCanaryAfterCreation"}


def _zipped(script: str, code: JsonObject, runtime: str) -> bytes:
    """Return a script as the archive that the service wants: under the path of its handler."""
    module = code["Handler"].rsplit(".", 1)[0]
    path = f"python/{module}.py" if runtime.startswith("syn-python") else f"nodejs/node_modules/{module}.js"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(path, script)
    return content.getvalue()


def _create(target: Target) -> str:
    properties = target.properties
    sent = {_RENAMED.get(name, name): value for name, value in properties.items() if name not in _OF_CLOUDFORMATION}
    code = dict(sent["Code"])
    if script := code.pop("Script", None):
        code["ZipFile"] = _zipped(script, code, properties["RuntimeVersion"])
    sent["Code"] = code
    if "VpcConfig" in sent:
        # The service finds the VPC by the subnets.
        sent["VpcConfig"] = _without(sent["VpcConfig"], "VpcId")
    return target.send("synthetics", "create_canary", sent)["Canary"]["Name"]


def _without(value: JsonObject, name: str) -> JsonObject:
    return {key: member for key, member in value.items() if key != name}


def _change(target: Target) -> None:
    """Create it again under its name: moto has no other change, and lets that pass."""
    _create(target)


KINDS = (
    Kind(
        type="AWS::Synthetics::Canary",
        service="synthetics",
        create=_create,
        name="Name",
        name_length=255,
        lower_case=True,
        rename=_RENAMED,
        read=Read("get_canary", {"Name": ID}, "Canary"),
        expects={
            # The service answers neither the code, nor the variables, nor from where the subnets were told.
            "Code": lambda target: {"Handler": target.properties["Code"]["Handler"]},
            "RunConfig": lambda target: _without(target.properties["RunConfig"], "EnvironmentVariables"),
            "VPCConfig": lambda target: _without(target.properties["VPCConfig"], "VpcId"),
        },
        # moto cannot delete one.
        delete=lambda target, _: unsent("synthetics", "delete_canary", "Name")(target, target.id),
        after={"StartCanaryAfterCreation": lambda target, _: unsent("synthetics", "start_canary", "Name")(target, "")},
        modify=_change,
        replace=frozenset({"Name"}),
        attributes={"Id": "Id", "State": "Status.State"},
    ),
)
