"""Whoever is told of something is told by whom it is to be mended, and where that is written."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.templates import ROOT, Deployment, Resource

Deployments = Callable[[str], Deployment]

CONFIGURATIONS = ["dev", "standard", "lean", "ha-dr", "byo"]
ALARM, RULE, TOPIC = "AWS::CloudWatch::Alarm", "AWS::Events::Rule", "AWS::SNS::Topic"
TRAIL, BUCKET, FILTER = "AWS::CloudTrail::Trail", "AWS::S3::Bucket", "AWS::Logs::MetricFilter"
RUNBOOKS = ROOT / "docs" / "runbooks"
SAID = re.compile(r"\. Owner: platform\. Severity: (page|ticket)\. Runbook: (https://\S+)")


@pytest.fixture(params=CONFIGURATIONS)
def deployment(request: pytest.FixtureRequest, deployments: Deployments) -> Deployment:
    return deployments(request.param)


def of_type(deployment: Deployment, kind: str) -> list[Resource]:
    """Return the resources of a type, of which there may be none."""
    return [resource for resource in deployment.resources if resource.kind == kind]


def name_of(resource: Resource) -> str:
    return resource.path.split("/")[1]


def anchors(file: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them of one word or of words in kebab case."""
    return {line.lstrip("#").strip().lower() for line in file.read_text("utf-8").splitlines() if line.startswith("#")}


def incidents_of(deployment: Deployment) -> list[Resource]:
    """Return the rules of events that are heard on the topic of the alarms."""
    return [
        it for it in deployment.all(RULE) if it.path.startswith(("signalbox-observability/", "signalbox-evidence/"))
    ]


def texts(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every alarm and of every message that tells of an event."""
    for alarm in deployment.all(ALARM):
        yield name_of(alarm), alarm.properties["AlarmDescription"]
    for rule in incidents_of(deployment):
        for target in rule.properties["Targets"]:
            yield name_of(rule), json.loads(target["InputTransformer"]["InputTemplate"])


def test_every_alarm_and_incident_names_owner_severity_and_a_page_that_exists(deployment: Deployment) -> None:
    for name, text in texts(deployment):
        said = SAID.search(text)
        assert said, f"{name}: {text}"
        page, _, anchor = said[2].rpartition("/")[2].partition("#")
        assert anchor == re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
        assert anchor in anchors(RUNBOOKS / page), f"{name}: no heading {anchor} in {page}"


def test_no_page_is_of_an_alarm_that_does_not_exist(deployments: Deployments) -> None:
    named = {SAID.search(text)[2].partition("#")[2] for it in CONFIGURATIONS for _, text in texts(deployments(it))}  # type: ignore[index]

    headings = {line[3:].strip() for line in (RUNBOOKS / "alarms.md").read_text().splitlines() if line[:3] == "## "}
    assert headings == named


def test_every_alarm_and_incident_is_heard_on_the_topic(deployment: Deployment) -> None:
    topic = deployment.one(TOPIC, "signalbox-observability/")
    for alarm in deployment.all(ALARM):
        assert alarm.properties.get("ActionsEnabled", True) is True
        for way in ("AlarmActions", "OKActions"):
            assert [deployment.refers(alarm, it) for it in alarm.properties[way]] == [topic], alarm.path
    for rule in incidents_of(deployment):
        assert [deployment.refers(rule, it["Arn"]) for it in rule.properties["Targets"]] == [topic], rule.path
        assert rule.properties["State"] == "ENABLED"


def test_the_topic_is_encrypted_and_takes_nothing_in_the_clear_or_from_elsewhere(deployments: Deployments) -> None:
    deployment = deployments("standard")
    topic = deployment.one(TOPIC, "signalbox-observability/")
    key = deployment.refers(topic, topic.properties["KmsMasterKeyId"])
    assert isinstance(key, Resource)
    assert key.path == "signalbox-keys/Operations/Resource"
    of_topic = deployment.one("AWS::SNS::TopicPolicy", "signalbox-observability/")
    policy = of_topic.properties["PolicyDocument"]["Statement"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [it["Condition"] for it in policy if it["Effect"] == "Deny"]
    allowed = [it for it in policy if it["Effect"] == "Allow"]
    assert {it["Principal"]["Service"] for it in allowed} == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    account = {"StringEquals": {"aws:SourceAccount": "000000000000"}}
    assert all(it["Condition"] == account for it in allowed)
    topics = {"ArnLike": {"kms:EncryptionContext:aws:sns:topicArn": "arn:aws:sns:us-east-1:000000000000:*"}}
    publishers = {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]}
    (of_key,) = [it for it in key.properties["KeyPolicy"]["Statement"] if it["Principal"] == publishers]
    assert of_key["Condition"] == topics


def test_whoever_is_named_gets_mail(deployments: Deployments) -> None:
    subscription = deployments("ha-dr").one("AWS::SNS::Subscription").properties

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "platform@example.com")
    assert of_type(deployments("standard"), "AWS::SNS::Subscription") == []


def test_what_has_to_be_told_is_told_in_every_configuration(deployment: Deployment) -> None:
    told = {name for name, _ in texts(deployment)}

    assert told >= {
        *("KeyAtRisk", "RootUse", "FirewallChanged", "TrailChanged", "BackupFailed", "CopyFailed"),
        *("EvidenceMissed", "EvidenceFailed", "EdgeErrors", "AuthFailures", "CertificateExpiry"),
    }


def test_an_incident_of_the_network_leaves_deployments_alone(deployments: Deployments) -> None:
    pattern = deployments("standard").one(RULE, "FirewallChanged").properties["EventPattern"]["detail"]

    assert pattern["sourceIPAddress"] == [{"anything-but": ["cloudformation.amazonaws.com"]}]
    assert {"AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"} <= set(pattern["eventName"])


@pytest.mark.parametrize("name", ["NoHeartbeat", "NoHealthyHost", "CanaryFails", "EvidenceMissed"])
def test_silence_is_an_alarm_where_silence_is_bad(name: str, deployments: Deployments) -> None:
    alarm = deployments("standard").one(ALARM, f"/{name}/").properties

    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["ComparisonOperator"] == "LessThanThreshold"


def test_the_queue_is_watched_by_the_metrics_of_the_service(deployments: Deployments) -> None:
    alarms = [it.properties for it in deployments("standard").all(ALARM)]
    ours = {it["MetricName"] for it in alarms if it.get("Namespace") == "Signalbox/signalbox"}

    assert {"QueuedActions", "OldestQueuedSeconds"} <= ours


def test_dev_has_ten_alarms_at_most_and_nothing_that_costs(deployments: Deployments) -> None:
    dev = deployments("dev")

    assert len(dev.all(ALARM)) <= 10
    assert {"NoHeartbeat", "NoHealthyHost"}.isdisjoint(name for name, _ in texts(dev))  # its nights are silent
    for kind in (TRAIL, "AWS::Synthetics::Canary", "AWS::CloudWatch::Dashboard", "AWS::GuardDuty::Detector"):
        assert of_type(dev, kind) == []


@pytest.mark.parametrize(
    ("kind", "configurations"),
    [
        (TRAIL, {"standard", "lean", "ha-dr"}),
        ("AWS::GuardDuty::Detector", {"standard", "ha-dr"}),
        ("AWS::Config::ConfigurationRecorder", {"ha-dr"}),
        ("AWS::SecurityHub::Hub", {"ha-dr"}),
        ("AWS::Synthetics::Canary", {"standard", "ha-dr", "byo"}),
        ("AWS::CloudWatch::Dashboard", {"standard", "ha-dr", "byo"}),
    ],
)
def test_what_the_organisation_has_is_left_out_by_a_setting(
    kind: str, configurations: set[str], deployments: Deployments
) -> None:
    assert {it for it in CONFIGURATIONS if of_type(deployments(it), kind)} == configurations


@pytest.mark.parametrize("name", ["standard", "lean", "ha-dr"])
def test_the_trail_is_of_all_regions_validated_encrypted_and_kept(name: str, deployments: Deployments) -> None:
    deployment = deployments(name)
    trail = deployment.one(TRAIL)
    it = trail.properties
    assert (it["IsLogging"], it["IsMultiRegionTrail"], it["EnableLogFileValidation"]) == (True, True, True)
    assert it["IncludeGlobalServiceEvents"] is True
    key, bucket = deployment.refers(trail, it["KMSKeyId"]), deployment.refers(trail, it["S3BucketName"])
    assert isinstance(key, Resource)
    assert key.path == "signalbox-keys/Evidence/Resource"
    assert isinstance(bucket, Resource)
    held_to_lock(bucket, 400)
    logs = deployment.refers(trail, it["CloudWatchLogsLogGroupArn"])
    assert isinstance(logs, Resource)
    assert logs.properties["RetentionInDays"] == 400


def test_the_trail_records_who_touches_evidence_and_audit_records(deployments: Deployments) -> None:
    selectors = deployments("standard").one(TRAIL).properties["AdvancedEventSelectors"]
    fields = [{it["Field"]: it for it in selector["FieldSelectors"]} for selector in selectors]

    assert fields[0]["eventCategory"]["Equals"] == ["Management"]
    assert fields[1]["resources.type"]["Equals"] == ["AWS::S3::Object"]
    begins = fields[1]["resources.ARN"]["StartsWith"]
    assert begins == ["arn:aws:s3:::signalbox-evidence", "arn:aws:s3:::signalbox-data"]


def test_only_this_trail_may_write_its_bucket(deployments: Deployments) -> None:
    deployment = deployments("standard")
    policy = deployment.one("AWS::S3::BucketPolicy", "Trail/Archive").properties["PolicyDocument"]["Statement"]
    trail = "arn:aws:cloudtrail:us-east-1:000000000000:trail/signalbox"

    allowed = [it for it in policy if it["Effect"] == "Allow"]
    assert {it["Principal"]["Service"] for it in allowed} == {"cloudtrail.amazonaws.com"}
    assert {it["Condition"]["StringEquals"]["aws:SourceArn"] for it in allowed} == {trail}


def test_guardduty_watches_logins_objects_and_tasks(deployments: Deployments) -> None:
    detector = deployments("standard").one("AWS::GuardDuty::Detector").properties

    assert detector["Enable"] is True
    features = {it["Name"]: it for it in detector["Features"]}
    assert {name: it["Status"] for name, it in features.items()} == dict.fromkeys(
        ("S3_DATA_EVENTS", "RDS_LOGIN_EVENTS", "RUNTIME_MONITORING"), "ENABLED"
    )
    more = features["RUNTIME_MONITORING"]["AdditionalConfiguration"]
    assert more == [{"Name": "ECS_FARGATE_AGENT_MANAGEMENT", "Status": "ENABLED"}]


def test_config_records_everything_into_a_kept_bucket(deployments: Deployments) -> None:
    deployment = deployments("ha-dr")
    recorder = deployment.one("AWS::Config::ConfigurationRecorder").properties
    channel = deployment.one("AWS::Config::DeliveryChannel")

    assert recorder["RecordingGroup"] == {"AllSupported": True, "IncludeGlobalResourceTypes": True}
    bucket = deployment.refers(channel, channel.properties["S3BucketName"])
    assert isinstance(bucket, Resource)
    # AWS Config refuses a bucket with Object Lock
    assert "ObjectLockConfiguration" not in bucket.properties
    assert bucket.properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket.definition["DeletionPolicy"] == "Retain"
    assert len(deployment.all("AWS::Config::ConfigRule")) == 8


def test_the_canary_may_write_its_artifacts_and_little_else(deployments: Deployments) -> None:
    deployment = deployments("standard")
    canary = deployment.one("AWS::Synthetics::Canary")
    policy = deployment.one("AWS::IAM::ManagedPolicy", "Canary").properties["PolicyDocument"]["Statement"]

    assert canary.properties["ArtifactConfig"]["S3Encryption"]["EncryptionMode"] == "SSE_KMS"
    assert canary.properties["Schedule"]["Expression"] == "rate(15 minutes)"
    everywhere = {it["Action"]: it.get("Condition") for it in policy if it["Resource"] == "*"}
    assert everywhere == {
        "cloudwatch:PutMetricData": {"StringEquals": {"cloudwatch:namespace": "CloudWatchSynthetics"}},
        "s3:ListAllMyBuckets": None,
    }
    actions = {
        action for it in policy for action in ([it["Action"]] if isinstance(it["Action"], str) else it["Action"])
    }
    assert not [action for action in actions if "Delete" in action or "*" in action]


def test_what_is_counted_in_logs_is_what_the_service_says(deployments: Deployments) -> None:
    sources = "".join(file.read_text("utf-8") for file in (ROOT / "service/signalbox").rglob("*.py"))
    said = set(re.findall(r"_log\.\w+\(\s*\"(\w+)\"", sources))
    filters = [it.properties for it in deployments("standard").all(FILTER) if "/Trail" not in it.path]

    counted = {word for it in filters for word in re.findall(r'\$\.event = "(\w+)"', it["FilterPattern"])}
    assert counted
    assert counted <= said
    codes: dict[str, Any] = next(it for it in filters if it["MetricTransformations"][0]["MetricName"] == "RpcErrors")
    assert codes["MetricTransformations"][0]["Dimensions"] == [{"Key": "Code", "Value": "$.code"}]


def test_every_filter_of_a_log_feeds_an_alarm_or_the_dashboard(deployments: Deployments) -> None:
    deployment = deployments("standard")
    counted = {it.properties["MetricTransformations"][0]["MetricName"] for it in deployment.all(FILTER)}
    watched = {it.properties.get("MetricName") for it in deployment.all(ALARM)}

    assert counted - watched == {"RpcErrors"}
    assert "RpcErrors" in json.dumps(deployment.one("AWS::CloudWatch::Dashboard").properties)


def held_to_lock(bucket: Resource, days: int) -> None:
    """Assert that nobody can delete what is in the bucket for so many days."""
    it = bucket.properties
    assert it["ObjectLockEnabled"] is True
    assert it["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Days": days, "Mode": "COMPLIANCE"}
    encryption = it["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
    assert encryption["SSEAlgorithm"] == "aws:kms"
    assert bucket.definition["DeletionPolicy"] == "Retain"
