"""S3 buckets with their policies, and ECR repositories."""

from typing import Any

from signalbox_emulator.types.kind import ID, VALUE, Call, Kind, Read, Reader, Step, TagCalls, Target
from signalbox_emulator.types.shapes import NoHome, text

JsonObject = dict[str, Any]


def _create_bucket(target: Target) -> str:
    name = target.properties["BucketName"]
    place = {} if target.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": target.region}}
    lock = target.properties.get("ObjectLockEnabled")
    if extra := sorted(set(target.properties) - {"BucketName", "ObjectLockEnabled", "Tags", *_STEPS}):
        raise NoHome(f"AWS::S3::Bucket.{', '.join(extra)} has no home in this emulator's table")
    locking = {"ObjectLockEnabledForBucket": True} if str(lock).lower() == "true" else {}
    target.client("s3").create_bucket(Bucket=name, **place, **locking)
    return name


def _encryption(value: JsonObject) -> JsonObject:
    """Return the API's form: one member has another name."""
    rules = [
        {
            ("ApplyServerSideEncryptionByDefault" if k == "ServerSideEncryptionByDefault" else k): v
            for k, v in rule.items()
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"Rules": rules}


def _lifecycle(value: JsonObject) -> JsonObject:
    """Return the API's form of lifecycle rules: expiry is nested, and a rule for all objects says so."""
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: JsonObject) -> JsonObject:
    said = dict(rule)
    api: JsonObject = {"Filter": {"Prefix": said.pop("Prefix", "")}, "Expiration": {}}
    for name, member in (
        ("ExpirationInDays", "Days"),
        ("ExpirationDate", "Date"),
        ("ExpiredObjectDeleteMarker", "ExpiredObjectDeleteMarker"),
    ):
        if name in said:
            api["Expiration"][member] = said.pop(name)
    if "Id" in said:
        api["ID"] = said.pop("Id")
    if not api["Expiration"]:
        del api["Expiration"]
    return api | said


def _put(operation: str, member: str, form: Any = None) -> Step:
    """Return the step that puts a property, in the API's form, as `member` of a bucket's put call."""

    def step(target: Target, value: Any) -> None:
        target.send("s3", operation, {"Bucket": target.id, member: form(value) if form else value})

    return step


_STEPS: dict[str, Step] = {
    "AccessControl": lambda target, value: target.client("s3").put_bucket_acl(
        Bucket=target.id, ACL=_CANNED_ACLS[value]
    ),
    "BucketEncryption": _put("put_bucket_encryption", "ServerSideEncryptionConfiguration", _encryption),
    "LifecycleConfiguration": _put("put_bucket_lifecycle_configuration", "LifecycleConfiguration", _lifecycle),
    "OwnershipControls": _put("put_bucket_ownership_controls", "OwnershipControls"),
    "PublicAccessBlockConfiguration": _put("put_public_access_block", "PublicAccessBlockConfiguration"),
    "VersioningConfiguration": _put("put_bucket_versioning", "VersioningConfiguration"),
}

_CANNED_ACLS = {"Private": "private", "LogDeliveryWrite": "log-delivery-write"}


def _canned_acl(target: Target) -> str | None:
    """Return the name of the canned ACL whose grants the bucket has, in CloudFormation's words."""
    grants = target.client("s3").get_bucket_acl(Bucket=target.id)["Grants"]
    grantees = {(grant["Grantee"].get("URI", "owner").rsplit("/", 1)[-1], grant["Permission"]) for grant in grants}
    owner = {("owner", "FULL_CONTROL")}
    if grantees == owner:
        return "Private"
    return "LogDeliveryWrite" if grantees == owner | {("LogDelivery", "WRITE"), ("LogDelivery", "READ_ACP")} else None


def _named(pattern: str) -> Reader:
    """Return the reader of an attribute that follows from the bucket's name and region."""

    def read(target: Target) -> str:
        return pattern.format(bucket=target.id, region=target.region)

    return read


def _delete_images(target: Target, _policy: str) -> None:
    empty = str(target.properties.get("EmptyOnDelete", False)).lower() == "true"
    target.client("ecr").delete_repository(repositoryName=target.id, force=empty)


KINDS = (
    Kind(
        type="AWS::S3::Bucket",
        service="s3",
        create=_create_bucket,
        name="BucketName",
        name_length=63,
        lower_case=True,
        read=lambda target: {"BucketName": target.client("s3").head_bucket(Bucket=target.id) and target.id},
        reads={
            "AccessControl": _canned_acl,
            "BucketEncryption": Read("get_bucket_encryption", {"Bucket": ID}, "ServerSideEncryptionConfiguration"),
            "LifecycleConfiguration": Read("get_bucket_lifecycle_configuration", {"Bucket": ID}, "@"),
            "OwnershipControls": Read("get_bucket_ownership_controls", {"Bucket": ID}, "OwnershipControls"),
            "PublicAccessBlockConfiguration": Read(
                "get_public_access_block", {"Bucket": ID}, "PublicAccessBlockConfiguration"
            ),
            "VersioningConfiguration": Read("get_bucket_versioning", {"Bucket": ID}, "@"),
            "ObjectLockEnabled": Read(
                "get_object_lock_configuration",
                {"Bucket": ID},
                "ObjectLockConfiguration.ObjectLockEnabled == 'Enabled'",
            ),
            "Tags": Read("get_bucket_tagging", {"Bucket": ID}, "TagSet"),
        },
        expects={
            "BucketEncryption": lambda target: _encryption(target.properties["BucketEncryption"]),
            "LifecycleConfiguration": lambda target: _lifecycle(target.properties["LifecycleConfiguration"]),
        },
        delete=Call("delete_bucket", {"Bucket": ID}),
        after=_STEPS,
        replace=frozenset({"BucketName"}),
        attributes={
            "Arn": _named("arn:aws:s3:::{bucket}"),
            "DomainName": _named("{bucket}.s3.amazonaws.com"),
            "RegionalDomainName": _named("{bucket}.s3.{region}.amazonaws.com"),
        },
        tags=TagCalls(
            add=lambda target, _: target.client("s3").put_bucket_tagging(
                Bucket=target.id, Tagging={"TagSet": target.properties["Tags"]}
            ),
            remove=lambda target, _: target.client("s3").put_bucket_tagging(
                Bucket=target.id, Tagging={"TagSet": target.properties.get("Tags", [])}
            ),
            at_creation=False,
        ),
    ),
    Kind(
        type="AWS::S3::BucketPolicy",
        service="s3",
        create="put_bucket_policy",
        rename={"PolicyDocument": "Policy"},
        ref=lambda target: target.properties["Bucket"],
        read=lambda target: {
            "Bucket": target.id,
            "Policy": target.client("s3").get_bucket_policy(Bucket=target.id)["Policy"],
        },
        delete=Call("delete_bucket_policy", {"Bucket": ID}),
        modify=Call("put_bucket_policy", {"Bucket": ID}),
        replace=frozenset({"Bucket"}),
    ),
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
            "Tags": lambda target: target.client("ecr").list_tags_for_resource(resourceArn=_repository_arn(target))[
                "tags"
            ],
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
        tags=TagCalls(
            add=lambda target, tags: target.client("ecr").tag_resource(resourceArn=_repository_arn(target), tags=tags),
            remove=lambda target, tags: target.client("ecr").untag_resource(
                resourceArn=_repository_arn(target), tagKeys=[tag["Key"] for tag in tags]
            ),
        ),
    ),
)


def _repository_arn(target: Target) -> str:
    return f"arn:aws:ecr:{target.region}:{target.account}:repository/{target.id}"
