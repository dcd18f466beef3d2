"""CloudWatch alarms and dashboards."""

import json
from typing import Any

from signalbox_emulator.types.kind import ID, Call, Kind, Read, Target
from signalbox_emulator.types.tagging import read_tags, tag_calls

JsonObject = dict[str, Any]

_ALARM_ARN = "arn:aws:cloudwatch:{region}:{account}:alarm:{id}"


def _body(target: Target) -> JsonObject:
    """Return a dashboard's body as what it means: a template and moto may write the same JSON otherwise."""
    return json.loads(target.client("cloudwatch").get_dashboard(DashboardName=target.id)["DashboardBody"])


KINDS = (
    Kind(
        type="AWS::CloudWatch::Alarm",
        service="cloudwatch",
        create="put_metric_alarm",
        ref=lambda target: target.properties["AlarmName"],
        name="AlarmName",
        name_length=255,
        read=Read("describe_alarms", {"AlarmNames": [ID]}, "MetricAlarms[0]"),
        reads={"Tags": read_tags(_ALARM_ARN, member="ResourceARN")},
        delete=Call("delete_alarms", {"AlarmNames": [ID]}),
        modify=Call("put_metric_alarm", {"AlarmName": ID}),
        whole=True,
        replace=frozenset({"AlarmName"}),
        attributes={"Arn": "AlarmArn"},
        tags=tag_calls(_ALARM_ARN, member="ResourceARN"),
    ),
    Kind(
        type="AWS::CloudWatch::Dashboard",
        service="cloudwatch",
        create="put_dashboard",
        ref=lambda target: target.properties["DashboardName"],
        name="DashboardName",
        name_length=255,
        read=Read("get_dashboard", {"DashboardName": ID}, "@"),
        reads={"DashboardBody": _body},
        expects={"DashboardBody": lambda target: json.loads(target.properties["DashboardBody"])},
        delete=Call("delete_dashboards", {"DashboardNames": [ID]}),
        modify=Call("put_dashboard", {"DashboardName": ID}),
        whole=True,
        replace=frozenset({"DashboardName"}),
    ),
)
