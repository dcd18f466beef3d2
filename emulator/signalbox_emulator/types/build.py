"""CodeBuild projects."""

from typing import Any

from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target

JsonObject = dict[str, Any]


def _create(target: Target) -> str:
    source = target.properties["Source"]
    if source["Type"] == "NO_SOURCE":
        # moto wants a location of a project that has no source, too.
        source = {"Location": "none", **source}
    target.send("codebuild", "create_project", {**target.properties, "Source": source})
    return target.properties["Name"]


def _key_arn(target: Target) -> str:
    key = target.properties["EncryptionKey"]
    return key if key.startswith("arn:") else f"arn:aws:kms:{target.region}:{target.account}:{key}"


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
        # The API answers the ARN of what a template names as an alias.
        expects={"EncryptionKey": _key_arn},
        delete=Call("delete_project", {"name": ID}),
        modify=_change,
        replace=frozenset({"Name"}),
        attributes={"Arn": "arn", "Name": "name"},
    ),
)
