"""CodeBuild projects."""

from typing import Any

from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target

JsonObject = dict[str, Any]


def _sent(target: Target) -> JsonObject:
    source = target.properties["Source"]
    if source["Type"] == "NO_SOURCE":
        # moto wants a location of a project that has no source, too.
        source = {"Location": "none", **source}
    return target.fitted("codebuild", "create_project", {**target.properties, "Source": source})


def _create(target: Target) -> str:
    return target.client("codebuild").create_project(**_sent(target))["project"]["name"]


def _key_arn(target: Target) -> str:
    key = target.properties["EncryptionKey"]
    return key if key.startswith("arn:") else f"arn:aws:kms:{target.region}:{target.account}:{key}"


def _change(target: Target) -> None:
    """Delete the project and create it again under its name: moto has no call that changes one."""
    codebuild, sent = target.client("codebuild"), _sent(target)
    codebuild.delete_project(name=target.id)
    codebuild.create_project(**sent)


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
