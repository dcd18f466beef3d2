"""S3 buckets and their policies."""

from typing import Any

from botocore.exceptions import ClientError

from signalbox_emulator.types import bucket_forms as forms
from signalbox_emulator.types.kind import ID, Call, Kind, Read, Reader, Step, TagCalls, Target
from signalbox_emulator.types.shapes import NoHome

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


def _put(operation: str, member: str, form: Any = None) -> Step:
    """Return the step that puts a property, in the API's form, as `member` of a bucket's put call."""

    def step(target: Target, value: Any) -> None:
        target.send("s3", operation, {"Bucket": target.id, member: form(value) if form else value})

    return step


def _check_tierings(target: Target, value: list[JsonObject]) -> None:
    """Hold them against the call that moto lacks; the capability list says that they are lost."""
    for configuration in value:
        sent = {"Bucket": target.id, "Id": configuration["Id"]}
        sent["IntelligentTieringConfiguration"] = forms.tiering(configuration)
        target.fitted("s3", "put_bucket_intelligent_tiering_configuration", sent)


_STEPS: dict[str, Step] = {
    "AccessControl": lambda target, value: target.client("s3").put_bucket_acl(
        Bucket=target.id, ACL=_CANNED_ACLS[value]
    ),
    "BucketEncryption": _put("put_bucket_encryption", "ServerSideEncryptionConfiguration", forms.encryption),
    "IntelligentTieringConfigurations": _check_tierings,
    "LifecycleConfiguration": lambda target, value: target.send(
        "s3", "put_bucket_lifecycle_configuration", {"Bucket": target.id, **forms.lifecycle(value)}
    ),
    "LoggingConfiguration": lambda target, value: target.send(
        "s3",
        "put_bucket_logging",
        {"Bucket": target.id, "BucketLoggingStatus": {"LoggingEnabled": forms.logging(value, target.id)}},
    ),
    "NotificationConfiguration": _put(
        "put_bucket_notification_configuration", "NotificationConfiguration", forms.notification
    ),
    "OwnershipControls": _put("put_bucket_ownership_controls", "OwnershipControls"),
    "PublicAccessBlockConfiguration": _put("put_public_access_block", "PublicAccessBlockConfiguration"),
    # Replication and a lock need versions: they come after.
    "VersioningConfiguration": _put("put_bucket_versioning", "VersioningConfiguration"),
    "ObjectLockConfiguration": _put("put_object_lock_configuration", "ObjectLockConfiguration"),
    "ReplicationConfiguration": _put("put_bucket_replication", "ReplicationConfiguration"),
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


def _locks(target: Target) -> bool:
    """Return whether the bucket locks objects; S3 answers an error for one that does not."""
    try:
        found = target.client("s3").get_object_lock_configuration(Bucket=target.id)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ObjectLockConfigurationNotFoundError":
            return False
        raise
    return found["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"


def _named(pattern: str) -> Reader:
    """Return the reader of an attribute that follows from the bucket's name and region."""

    def read(target: Target) -> str:
        return pattern.format(bucket=target.id, region=target.region)

    return read


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
            "LoggingConfiguration": Read("get_bucket_logging", {"Bucket": ID}, "LoggingEnabled"),
            "NotificationConfiguration": Read("get_bucket_notification_configuration", {"Bucket": ID}, "@"),
            "ObjectLockConfiguration": Read("get_object_lock_configuration", {"Bucket": ID}, "ObjectLockConfiguration"),
            "ReplicationConfiguration": Read("get_bucket_replication", {"Bucket": ID}, "ReplicationConfiguration"),
            "OwnershipControls": Read("get_bucket_ownership_controls", {"Bucket": ID}, "OwnershipControls"),
            "PublicAccessBlockConfiguration": Read(
                "get_public_access_block", {"Bucket": ID}, "PublicAccessBlockConfiguration"
            ),
            "VersioningConfiguration": Read("get_bucket_versioning", {"Bucket": ID}, "@"),
            "ObjectLockEnabled": _locks,
            "Tags": Read("get_bucket_tagging", {"Bucket": ID}, "TagSet"),
        },
        expects={
            "BucketEncryption": lambda target: forms.encryption(target.properties["BucketEncryption"]),
            "LifecycleConfiguration": lambda target: forms.lifecycle_read(target.properties["LifecycleConfiguration"]),
            "LoggingConfiguration": lambda target: forms.logging(target.properties["LoggingConfiguration"], target.id),
            "NotificationConfiguration": lambda target: forms.notification(
                target.properties["NotificationConfiguration"]
            ),
        },
        delete=Call("delete_bucket", {"Bucket": ID}),
        after=_STEPS,
        # AWS can lock a bucket that exists; moto cannot.
        replace=frozenset({"BucketName", "ObjectLockEnabled"}),
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
)
