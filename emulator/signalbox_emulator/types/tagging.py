"""Tag calls of the services that tag by ARN, which differ in little but the names of the members."""

from collections.abc import Callable

from signalbox_emulator.types.kind import KEYS, VALUE, Call, Read, TagCalls, Target

Arn = str | Callable[[Target], str]
"""An ARN with {id}, {region} and {account}, or a function of the target."""


def arn_of(pattern: Arn) -> Callable[[Target], str]:
    """Return the function that gives a resource's ARN."""
    if callable(pattern):
        return pattern
    return lambda target: pattern.format(id=target.id, region=target.region, account=target.account)


def tag_calls(
    arn: Arn, *, member: str = "ResourceArn", tags: str = "Tags", keys: str = "TagKeys", at_creation: bool = True
) -> TagCalls:
    """Return TagResource and UntagResource of a service, whose members have these names."""
    resource = arn_of(arn)
    return TagCalls(
        add=Call("tag_resource", {member: resource, tags: VALUE}),
        remove=Call("untag_resource", {member: resource, keys: KEYS}),
        at_creation=at_creation,
    )


def read_tags(arn: Arn, *, member: str = "ResourceArn", path: str = "Tags") -> Read:
    """Return ListTagsForResource of a service; `path` is the JMESPath of the tags in its answer."""
    return Read("list_tags_for_resource", {member: arn_of(arn)}, path)
