"""RDS: global clusters, and subscriptions to events."""

from contextlib import suppress
from typing import Any

from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target
from signalbox_emulator.types.tagging import arn_of

JsonObject = dict[str, Any]

_SUBSCRIPTION = arn_of("arn:aws:rds:{region}:{account}:es:{id}")


def _subscribe(target: Target) -> str:
    target.send("rds", "create_event_subscription", target.properties)
    return target.properties["SubscriptionName"]


def _subscribe_again(target: Target) -> None:
    """Delete the subscription and make it again under its name: moto has no call that changes one."""
    rds, sent = target.client("rds"), target.fitted("rds", "create_event_subscription", target.properties)
    with suppress(rds.exceptions.SubscriptionNotFoundFault):  # a change that failed may have left none
        rds.delete_event_subscription(SubscriptionName=target.id)
    rds.create_event_subscription(**sent)


KINDS = (
    Kind(
        type="AWS::RDS::GlobalCluster",
        service="rds",
        create="create_global_cluster",
        ref="GlobalCluster.GlobalClusterIdentifier",
        name="GlobalClusterIdentifier",
        lower_case=True,
        read=Read("describe_global_clusters", {"GlobalClusterIdentifier": ID}, "GlobalClusters[0]"),
        delete=Call("delete_global_cluster", {"GlobalClusterIdentifier": ID}),
        replace=frozenset({"GlobalClusterIdentifier", "Engine", "SourceDBClusterIdentifier", "StorageEncrypted"}),
        attributes={"GlobalClusterResourceId": "GlobalClusterResourceId"},
    ),
    Kind(
        type="AWS::RDS::EventSubscription",
        service="rds",
        create=_subscribe,
        rename={"EventCategories": "EventCategoriesList", "SourceIds": "SourceIdsList"},
        name="SubscriptionName",
        name_length=255,
        lower_case=True,
        read=Read("describe_event_subscriptions", {"SubscriptionName": ID}, "EventSubscriptionsList[0]"),
        reads={
            "SubscriptionName": "CustSubscriptionId",
            "Tags": Read("list_tags_for_resource", {"ResourceName": _SUBSCRIPTION}, "TagList"),
        },
        delete=Call("delete_event_subscription", {"SubscriptionName": ID}),
        modify=_subscribe_again,
        replace=frozenset({"SubscriptionName"}),
    ),
)
