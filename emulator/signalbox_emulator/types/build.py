"""CodeBuild projects."""

from typing import Any

from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target

JsonObject = dict[str, Any]


def _create(target: Target) -> str:
    target.send("codebuild", "create_project", target.properties)
    return target.properties["Name"]


def _change(target: Target) -> None:
    """Delete the project and create it again under its name: moto has no call that changes one."""
    target.client("codebuild").delete_project(name=target.id)
    _create(target)


KINDS = (
    Kind(
        type="AWS::CodeBuild::Project",
        service="codebuild",
        create=_create,
        name="Name",
        name_length=150,
        read=Read("batch_get_projects", {"names": [ID]}, "projects[0]"),
        delete=Call("delete_project", {"name": ID}),
        modify=_change,
        replace=frozenset({"Name"}),
        attributes={"Arn": "arn", "Name": "name"},
    ),
)
