"""SNS topics and subscriptions, SQS queues."""

import json
from collections.abc import Callable
from typing import Any

from signalbox_emulator.types.kind import ID, KEYS, VALUE, Call, Kind, Read, Step, TagCalls, Target
from signalbox_emulator.types.shapes import text
from signalbox_emulator.types.tagging import read_tags, tag_calls

JsonObject = dict[str, Any]

_TOPIC = ("DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig")
_SUBSCRIPTION = ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy")
_QUEUE = (
    "DelaySeconds", "FifoQueue", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MaximumMessageSize",
    "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy",
    "SqsManagedSseEnabled", "VisibilityTimeout",
)  # fmt: skip


def _attribute(operation: str, member: str, name: str) -> Step:
    """Return the step that sets attribute `name` of a topic or a subscription."""

    def step(target: Target, value: Any) -> None:
        target.send("sns", operation, {member: target.id, "AttributeName": name, "AttributeValue": text(value)})

    return step


def _sns_steps(operation: str, member: str, names: tuple[str, ...]) -> dict[str, Step]:
    return {name: _attribute(operation, member, name) for name in names}


def _set_topic_policy(target: Target, topics: list[str], policy: Any) -> None:
    for topic in topics:
        target.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=text(policy))


def _topic_policies(target: Target) -> JsonObject:
    """Return the policy of the topics, and those that have it."""
    found = {
        topic: json.loads(target.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
        for topic in target.properties["Topics"]
    }
    return _same(found, "Topics")


def _same(found: JsonObject, members: str) -> JsonObject:
    """Return the first policy, and under `members` those that have it too."""
    first = next(iter(found.values()), None)
    return {"PolicyDocument": first, members: [name for name, policy in found.items() if policy == first]}


def _put_topic_policy(target: Target) -> None:
    gone = set(target.former.get("Topics", [])) - set(target.properties["Topics"])
    _drop_topic_policy(target, sorted(gone))
    _set_topic_policy(target, target.properties["Topics"], target.properties["PolicyDocument"])


def _drop_topic_policy(target: Target, topics: list[str]) -> None:
    """Give topics the policy that they have without one: their owner may do everything."""
    for topic in topics:
        owner = {"StringEquals": {"AWS:SourceOwner": target.account}}
        statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "SNS:*", "Resource": topic}
        policy = {"Version": "2008-10-17", "Statement": [{**statement, "Condition": owner}]}
        _set_topic_policy(target, [topic], policy)


def _created(put: Callable[[Target], None], members: str) -> Callable[[Target], str]:
    """Return the creation of a policy through `put`; its id is that of the first of its `members`."""

    def create(target: Target) -> str:
        put(target)
        return f"{target.properties[members][0]}|policy"

    return create


def _queue_attributes(target: Target) -> JsonObject:
    return {name: text(target.properties[name]) for name in _QUEUE if name in target.properties}


def _create_queue(target: Target) -> str:
    rest = {name: value for name, value in target.properties.items() if name not in {*_QUEUE, "Tags"}}
    tags = {tag["Key"]: tag["Value"] for tag in target.properties.get("Tags", [])}
    sent = {**rest, "Attributes": _queue_attributes(target), "tags": tags}
    return target.send("sqs", "create_queue", sent)["QueueUrl"]


def _update_queue(target: Target) -> None:
    """Set the attributes, and the policy that the queue has again: moto takes it away with every change."""
    sqs = target.client("sqs")
    policy = sqs.get_queue_attributes(QueueUrl=target.id, AttributeNames=["Policy"]).get("Attributes", {})
    sqs.set_queue_attributes(QueueUrl=target.id, Attributes=_queue_attributes(target) | policy)


def _read_queue(target: Target) -> JsonObject:
    found = target.client("sqs").get_queue_attributes(QueueUrl=target.id, AttributeNames=["All"])["Attributes"]
    return {**found, "QueueName": found["QueueArn"].split(":")[-1]}


def _put_queue_policy(target: Target) -> None:
    for queue in sorted(set(target.former.get("Queues", [])) - set(target.properties["Queues"])):
        target.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    for queue in target.properties["Queues"]:
        policy = text(target.properties["PolicyDocument"])
        target.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})


def _queue_policies(target: Target) -> JsonObject:
    found: JsonObject = {}
    for queue in target.properties["Queues"]:
        answer = target.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])
        found[queue] = json.loads(answer.get("Attributes", {}).get("Policy") or "null")
    return _same(found, "Queues")


def _drop_queue_policy(target: Target, _policy: str) -> None:
    for queue in target.properties["Queues"]:
        target.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})


KINDS = (
    Kind(
        type="AWS::SNS::Topic",
        service="sns",
        create="create_topic",
        ref="TopicArn",
        rename={"TopicName": "Name"},
        name="TopicName",
        name_length=256,
        read=Read("get_topic_attributes", {"TopicArn": ID}, "Attributes"),
        reads={"TopicName": lambda target: target.id.split(":")[-1], "Tags": read_tags("{id}")},
        delete=Call("delete_topic", {"TopicArn": ID}),
        after=_sns_steps("set_topic_attributes", "TopicArn", _TOPIC),
        replace=frozenset({"TopicName", "FifoTopic"}),
        attributes={"TopicArn": "TopicArn", "TopicName": lambda target: target.id.split(":")[-1]},
        tags=tag_calls("{id}"),
    ),
    Kind(
        type="AWS::SNS::TopicPolicy",
        service="sns",
        create=_created(_put_topic_policy, "Topics"),
        read=_topic_policies,
        delete=lambda target, _: _drop_topic_policy(target, target.properties["Topics"]),
        modify=_put_topic_policy,
        attributes={"Id": lambda target: target.id},
    ),
    Kind(
        type="AWS::SNS::Subscription",
        service="sns",
        create="subscribe",
        ref="SubscriptionArn",
        read=Read("get_subscription_attributes", {"SubscriptionArn": ID}, "Attributes"),
        delete=Call("unsubscribe", {"SubscriptionArn": ID}),
        after=_sns_steps("set_subscription_attributes", "SubscriptionArn", _SUBSCRIPTION),
        replace=frozenset({"TopicArn", "Protocol", "Endpoint"}),
        attributes={"Arn": lambda target: target.id},
    ),
    Kind(
        type="AWS::SQS::Queue",
        service="sqs",
        create=_create_queue,
        name="QueueName",
        name_length=80,
        read=_read_queue,
        reads={"Tags": Read("list_queue_tags", {"QueueUrl": ID}, "Tags")},
        delete=Call("delete_queue", {"QueueUrl": ID}),
        modify=_update_queue,
        replace=frozenset({"QueueName", "FifoQueue"}),
        attributes={"Arn": "QueueArn", "QueueName": "QueueName", "QueueUrl": lambda target: target.id},
        tags=TagCalls(
            add=Call("tag_queue", {"QueueUrl": ID, "Tags": VALUE}),
            remove=Call("untag_queue", {"QueueUrl": ID, "TagKeys": KEYS}),
        ),
    ),
    Kind(
        type="AWS::SQS::QueuePolicy",
        service="sqs",
        create=_created(_put_queue_policy, "Queues"),
        read=_queue_policies,
        delete=_drop_queue_policy,
        modify=_put_queue_policy,
        attributes={"Id": lambda target: target.id},
    ),
)
