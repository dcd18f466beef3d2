"""ECR repositories, and the settings of a region's registry."""

from typing import Any

from signalbox_emulator.types.kind import ID, VALUE, Call, Kind, Read, Target
from signalbox_emulator.types.shapes import text
from signalbox_emulator.types.tagging import read_tags, tag_calls

_ARN = "arn:aws:ecr:{region}:{account}:repository/{id}"
_NO_REPLICATION: dict[str, Any] = {"rules": []}
_BASIC_SCANNING: dict[str, Any] = {"scanType": "BASIC", "rules": []}


def _delete_images(target: Target, _policy: str) -> None:
    empty = str(target.properties.get("EmptyOnDelete", False)).lower() == "true"
    target.client("ecr").delete_repository(repositoryName=target.id, force=empty)


KINDS = (
    Kind(
        type="AWS::ECR::Repository",
        service="ecr",
        create="create_repository",
        ref="repository.repositoryName",
        name="RepositoryName",
        name_length=256,
        lower_case=True,
        read=Read("describe_repositories", {"repositoryNames": [ID]}, "repositories[0]"),
        reads={
            "LifecyclePolicy": Read(
                "get_lifecycle_policy", {"repositoryName": ID}, "{LifecyclePolicyText: lifecyclePolicyText}"
            ),
            "RepositoryPolicyText": Read("get_repository_policy", {"repositoryName": ID}, "policyText"),
            "Tags": read_tags(_ARN, path="tags"),
        },
        delete=_delete_images,
        after={
            "LifecyclePolicy": lambda target, value: target.client("ecr").put_lifecycle_policy(
                repositoryName=target.id, lifecyclePolicyText=value["LifecyclePolicyText"]
            ),
            "RepositoryPolicyText": lambda target, value: target.client("ecr").set_repository_policy(
                repositoryName=target.id, policyText=text(value)
            ),
        },
        change={
            "ImageTagMutability": Call("put_image_tag_mutability", {"repositoryName": ID, "imageTagMutability": VALUE}),
            "ImageScanningConfiguration": Call(
                "put_image_scanning_configuration", {"repositoryName": ID, "imageScanningConfiguration": VALUE}
            ),
        },
        at_deletion=frozenset({"EmptyOnDelete"}),
        replace=frozenset({"RepositoryName", "EncryptionConfiguration"}),
        attributes={"Arn": "repositoryArn", "RepositoryUri": "repositoryUri"},
        tags=tag_calls(_ARN),
    ),
    Kind(
        type="AWS::ECR::ReplicationConfiguration",
        service="ecr",
        create="put_replication_configuration",
        ref=lambda target: target.account,
        read=Read("describe_registry", {}, "@"),
        delete=Call("put_replication_configuration", {"replicationConfiguration": _NO_REPLICATION}),
        modify=Call("put_replication_configuration"),
        whole=True,
        attributes={"RegistryId": "registryId"},
    ),
    Kind(
        type="AWS::ECR::RegistryScanningConfiguration",
        service="ecr",
        create="put_registry_scanning_configuration",
        ref=lambda target: target.account,
        read=Read("get_registry_scanning_configuration", {}, "scanningConfiguration"),
        delete=Call("put_registry_scanning_configuration", _BASIC_SCANNING),
        modify=Call("put_registry_scanning_configuration"),
        whole=True,
        attributes={"RegistryId": lambda target: target.account},
    ),
)
