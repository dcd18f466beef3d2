"""A topic on which AWS itself tells what happened to the images: encrypted, published to over TLS only."""

from collections.abc import Mapping, Sequence
from typing import Any  # event patterns are free JSON

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from signalbox_constructs import principals

_EVENTS = "events.amazonaws.com"


class Notices(Construct):
    """A topic under `key`, whose policy has to admit EventBridge (`encryption.grant_to_topics`).

    `tell` publishes the events of a pattern to it, `grant_publish` lets a role do so.

    Exposes `topic`.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey) -> None:
        super().__init__(scope, construct_id)
        self._key = key
        self.topic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        stack = cdk.Stack.of(self)
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="RulesOfThisAccount",
                principals=[principals.service(_EVENTS)],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"ArnLike": {"aws:SourceArn": f"arn:aws:events:{stack.region}:{stack.account}:rule/*"}},
            )
        )

    def tell(self, construct_id: str, *, description: str, pattern: Mapping[str, Any]) -> events.CfnRule:
        """Publish every event that matches `pattern`, as EventBridge gives it."""
        targets: Sequence[events.CfnRule.TargetProperty] = [
            events.CfnRule.TargetProperty(id="Topic", arn=self.topic.topic_arn)
        ]
        return events.CfnRule(self, construct_id, description=description, event_pattern=pattern, targets=targets)

    def grant_publish(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` publish, and use the key for it. The L2's grant would admit every kind of data key."""
        policy = grantee.grant_principal
        policy.add_to_principal_policy(iam.PolicyStatement(actions=["sns:Publish"], resources=[self.topic.topic_arn]))
        policy.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=[self._key.key_arn],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": self._topics}},
            )
        )

    @property
    def _topics(self) -> str:
        stack = cdk.Stack.of(self)
        return f"arn:aws:sns:{stack.region}:{stack.account}:*"
