"""Who watches the account: CloudTrail, GuardDuty, Config, Security Hub."""

from typing import Any

from signalbox_emulator.types.absent import unsent
from signalbox_emulator.types.kind import ID, VALUE, Call, Kind, Read, Step, TagCalls, Target
from signalbox_emulator.types.tagging import tag_calls

JsonObject = dict[str, Any]

_DETECTOR_ARN = "arn:aws:guardduty:{region}:{account}:detector/{id}"


def _trail_arn(target: Target) -> str:
    return f"arn:aws:cloudtrail:{target.region}:{target.account}:trail/{target.id}"


def _set_logging(target: Target, value: Any) -> None:
    call = "start_logging" if str(value).lower() == "true" else "stop_logging"
    getattr(target.client("cloudtrail"), call)(Name=target.id)


def _trail_tags(operation: str) -> Step:
    return lambda target, tags: target.send(
        "cloudtrail", operation, {"ResourceId": _trail_arn(target), "TagsList": tags}
    )


def _put_recorder(target: Target) -> None:
    target.send("config", "put_configuration_recorder", {"ConfigurationRecorder": target.properties})


def _create_recorder(target: Target) -> str:
    _put_recorder(target)
    return target.properties["Name"]


def _delete_recorder(target: Target, _policy: str) -> None:
    target.client("config").delete_configuration_recorder(ConfigurationRecorderName=target.id)


def _put_channel(target: Target) -> None:
    target.send("config", "put_delivery_channel", {"DeliveryChannel": target.properties})


def _create_channel(target: Target) -> str:
    """Put the channel, and start the recorder that waits for it, as CloudFormation does."""
    _put_channel(target)
    _each_recorder(target, "start_configuration_recorder")
    return target.properties["Name"]


def _delete_channel(target: Target, _policy: str) -> None:
    _each_recorder(target, "stop_configuration_recorder")
    target.client("config").delete_delivery_channel(DeliveryChannelName=target.id)


def _each_recorder(target: Target, operation: str) -> None:
    config = target.client("config")
    for recorder in config.describe_configuration_recorders()["ConfigurationRecorders"]:
        getattr(config, operation)(ConfigurationRecorderName=recorder["name"])


def _put_rule(target: Target) -> None:
    rule = {name: value for name, value in target.properties.items() if name != "Tags"}
    target.send("config", "put_config_rule", {"ConfigRule": rule})


def _create_rule(target: Target) -> str:
    _put_rule(target)
    return target.properties["ConfigRuleName"]


KINDS = (
    Kind(
        type="AWS::CloudTrail::Trail",
        service="cloudtrail",
        create="create_trail",
        ref="Name",
        rename={"TrailName": "Name", "Tags": "TagsList"},
        name="TrailName",
        name_length=128,
        read=Read("get_trail", {"Name": ID}, "Trail"),
        reads={
            "EnableLogFileValidation": "LogFileValidationEnabled",
            "EventSelectors": Read("get_event_selectors", {"TrailName": ID}, "EventSelectors"),
            "AdvancedEventSelectors": Read("get_event_selectors", {"TrailName": ID}, "AdvancedEventSelectors"),
            "InsightSelectors": Read("get_insight_selectors", {"TrailName": ID}, "InsightSelectors"),
            "IsLogging": Read("get_trail_status", {"Name": ID}, "IsLogging"),
            "Tags": Read("list_tags", {"ResourceIdList": [_trail_arn]}, "ResourceTagList[0].TagsList"),
        },
        delete=Call("delete_trail", {"Name": ID}),
        after={
            "IsLogging": _set_logging,
            "EventSelectors": Call("put_event_selectors", {"TrailName": ID, "EventSelectors": VALUE}),
            "AdvancedEventSelectors": Call("put_event_selectors", {"TrailName": ID, "AdvancedEventSelectors": VALUE}),
            "InsightSelectors": Call("put_insight_selectors", {"TrailName": ID, "InsightSelectors": VALUE}),
        },
        modify=Call("update_trail", {"Name": ID}),
        replace=frozenset({"TrailName"}),
        attributes={"Arn": "TrailARN", "SnsTopicArn": "SnsTopicARN"},
        tags=TagCalls(add=_trail_tags("add_tags"), remove=_trail_tags("remove_tags")),
    ),
    Kind(
        type="AWS::GuardDuty::Detector",
        service="guardduty",
        create="create_detector",
        ref="DetectorId",
        read=Read("get_detector", {"DetectorId": ID}, "@"),
        reads={"Enable": "Status == 'ENABLED'"},
        delete=Call("delete_detector", {"DetectorId": ID}),
        modify=Call("update_detector", {"DetectorId": ID}),
        attributes={"Id": lambda target: target.id},
        tags=tag_calls(_DETECTOR_ARN),
    ),
    Kind(
        type="AWS::Config::ConfigurationRecorder",
        service="config",
        create=_create_recorder,
        name="Name",
        name_length=256,
        read=Read(
            "describe_configuration_recorders", {"ConfigurationRecorderNames": [ID]}, "ConfigurationRecorders[0]"
        ),
        delete=_delete_recorder,
        modify=_put_recorder,
        replace=frozenset({"Name"}),
    ),
    Kind(
        type="AWS::Config::DeliveryChannel",
        service="config",
        create=_create_channel,
        name="Name",
        name_length=256,
        read=Read("describe_delivery_channels", {"DeliveryChannelNames": [ID]}, "DeliveryChannels[0]"),
        delete=_delete_channel,
        modify=_put_channel,
        replace=frozenset({"Name"}),
    ),
    Kind(
        type="AWS::Config::ConfigRule",
        service="config",
        create=_create_rule,
        name="ConfigRuleName",
        name_length=128,
        read=Read("describe_config_rules", {"ConfigRuleNames": [ID]}, "ConfigRules[0]"),
        delete=Call("delete_config_rule", {"ConfigRuleName": ID}),
        modify=_put_rule,
        replace=frozenset({"ConfigRuleName"}),
        attributes={"Arn": "ConfigRuleArn", "ConfigRuleId": "ConfigRuleId"},
    ),
    Kind(
        type="AWS::SecurityHub::Hub",
        service="securityhub",
        create="enable_security_hub",
        ref=lambda target: f"arn:aws:securityhub:{target.region}:{target.account}:hub/default",
        read=Read("describe_hub", {"HubArn": ID}, "@"),
        delete=Call("disable_security_hub"),
        after={"AutoEnableControls": unsent("securityhub", "update_security_hub_configuration", "AutoEnableControls")},
        unread=frozenset({"EnableDefaultStandards"}),
        replace=frozenset({"EnableDefaultStandards", "ControlFindingGenerator"}),
        attributes={"ARN": "HubArn", "SubscribedAt": "SubscribedAt"},
    ),
)
