import json
from pathlib import Path
from typing import Any

import pytest

from signalbox_guards.assembly import Assembly
from signalbox_guards.cost.estimate import Estimate, estimate
from signalbox_guards.cost.prices import read_prices, read_usage
from signalbox_guards.errors import BadInput
from support.assemblies import Draft, change
from support.hand_made import Json, assembly, resource, stack, write_assembly


def priced(resources: Json | Assembly, configuration: str = "standard") -> dict[str, float]:
    """USD a month by item."""
    built = resources if isinstance(resources, Assembly) else assembly(stack("s", resources))
    found: Estimate = estimate({configuration: built}, read_prices(), read_usage()).estimates[0]
    return {line.item: line.usd for line in found.lines}


def cluster(minimum: float, **properties: Any) -> Json:
    return resource(
        "AWS::RDS::DBCluster",
        {
            "Engine": "aurora-postgresql",
            "MasterUsername": "admin",
            "ServerlessV2ScalingConfiguration": {"MinCapacity": minimum, "MaxCapacity": 8},
            **properties,
        },
    )


def instance(instance_class: str = "db.serverless", **properties: Any) -> Json:
    own = {"DBClusterIdentifier": {"Ref": "Cluster"}, "DBInstanceClass": instance_class}
    return resource("AWS::RDS::DBInstance", own | properties)


def test_serverless_instances_cost_their_minimum_capacity() -> None:
    found = priced({"Cluster": cluster(0.5), "Writer": instance(), "Reader": instance()})

    assert found["Aurora capacity"] == pytest.approx(2 * 0.5 * 730 * 0.12)
    assert found["Aurora storage"] == pytest.approx(40 * 0.10)
    assert found["Aurora I/O"] == pytest.approx(60 * 0.20)


def test_a_minimum_of_zero_costs_only_the_hours_that_it_is_awake() -> None:
    found = priced({"Cluster": cluster(0), "Writer": instance()}, "dev")

    assert found["Aurora capacity"] == pytest.approx(220 * 0.5 * 0.12)
    assert found["Aurora storage"] == pytest.approx(5 * 0.10)


def test_io_optimized_costs_more_capacity_and_no_requests() -> None:
    found = priced({"Cluster": cluster(1, StorageType="aurora-iopt1"), "Writer": instance()})

    assert found["Aurora capacity"] == pytest.approx(730 * 0.156)
    assert "Aurora I/O" not in found


def test_provisioned_instances_and_advanced_insights() -> None:
    resources = {
        "Cluster": cluster(1, DatabaseInsightsMode="advanced"),
        "Writer": instance("db.r8g.large"),
        "Reader": instance("db.t4g.medium"),
    }
    found = priced(resources)

    assert found["Aurora db.r8g.large"] == pytest.approx(730 * 0.276)
    assert found["Aurora db.t4g.medium"] == pytest.approx(730 * 0.073)
    assert found["Database Insights"] == pytest.approx(2 * 2 * 730 * 0.0125)


def test_a_managed_password_is_a_secret_and_a_secondary_pays_for_replicated_writes() -> None:
    assert priced({"Cluster": cluster(1, ManageMasterUserPassword=True)})["Secrets"] == pytest.approx(0.40)
    secondary = cluster(1, GlobalClusterIdentifier="world")
    del secondary["Properties"]["MasterUsername"]
    assert priced({"Cluster": secondary})["Global database writes"] == pytest.approx(30 * 0.20)


def fargate(*, scaling: Json | None = None, definition: Json | None = None, **service: Any) -> Json:
    task = {
        "Cpu": "512",
        "Memory": "1024",
        "RuntimePlatform": {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"},
    }
    resources = {
        "Task": resource("AWS::ECS::TaskDefinition", task | (definition or {})),
        "Service": resource("AWS::ECS::Service", {"TaskDefinition": {"Ref": "Task"}, "DesiredCount": 2} | service),
    }
    if scaling:
        target = {"ResourceId": {"Fn::Sub": "service/cluster/${Service.Name}"}, "MinCapacity": 2, "MaxCapacity": 8}
        resources["Scaling"] = resource("AWS::ApplicationAutoScaling::ScalableTarget", target | scaling)
    return resources


ARM_TASK_HOUR = 0.5 * 0.03238 + 1 * 0.00356


def fargate_usd(found: dict[str, float]) -> float:
    return sum(usd for item, usd in found.items() if item.startswith("Fargate"))


def test_tasks_cost_cpu_and_memory_by_the_hour() -> None:
    assert fargate_usd(priced(fargate())) == pytest.approx(2 * 730 * ARM_TASK_HOUR)


def test_autoscaled_tasks_cost_their_minimum() -> None:
    assert fargate_usd(priced(fargate(scaling={"MinCapacity": 3}))) == pytest.approx(3 * 730 * ARM_TASK_HOUR)


def test_a_service_that_a_schedule_stops_costs_its_active_hours() -> None:
    actions = [
        {"ScheduledActionName": "evening", "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 0}},
        {"ScheduledActionName": "morning", "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 1}},
    ]
    found = priced(fargate(scaling={"MinCapacity": 0, "ScheduledActions": actions}, DesiredCount=1))

    assert fargate_usd(found) == pytest.approx(1 * 220 * ARM_TASK_HOUR)


def test_spot_tasks_are_split_off_by_base_and_weight() -> None:
    strategy = [
        {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 0},
        {"CapacityProvider": "FARGATE_SPOT", "Weight": 1},
    ]
    found = priced(fargate(CapacityProviderStrategy=strategy, DesiredCount=3))

    assert found["Fargate ARM vCPU"] == pytest.approx(1 * 730 * 0.5 * 0.03238)
    assert found["Fargate Spot ARM vCPU"] == pytest.approx(2 * 730 * 0.5 * 0.00972)


def test_public_addresses_and_large_disks_of_tasks_cost_too() -> None:
    network = {"AwsvpcConfiguration": {"AssignPublicIp": "ENABLED"}}
    found = priced(fargate(definition={"EphemeralStorage": {"SizeInGiB": 30}}, NetworkConfiguration=network))

    assert found["Public IPv4 addresses"] == pytest.approx(2 * 730 * 0.005)
    assert found["Fargate ephemeral storage"] == pytest.approx(2 * 730 * 10 * 0.000111)


def test_a_definition_that_no_service_runs_costs_its_one_shots() -> None:
    resources = fargate()
    del resources["Service"]

    assert fargate_usd(priced(resources)) == pytest.approx(3 * ARM_TASK_HOUR)


def subnets(count: int) -> list[str]:
    return [f"subnet-{number}" for number in range(count)]


NETWORK: list[tuple[str, Json, dict[str, float]]] = [
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        {"Scheme": "internet-facing", "Subnets": subnets(3)},
        {"Load balancer": 730 * 0.0225, "Load balancer capacity units": 730 * 0.008, "Public IPv4 addresses": 10.95},
    ),
    ("AWS::EC2::NatGateway", {}, {"NAT gateways": 730 * 0.045, "NAT traffic": 5 * 0.045}),
    ("AWS::EC2::EIP", {}, {"Public IPv4 addresses": 3.65}),
    (
        "AWS::EC2::VPCEndpoint",
        {"VpcEndpointType": "Interface", "SubnetIds": subnets(2)},
        {"Interface endpoints": 14.6, "Endpoint traffic": 0.05},
    ),
    ("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"}, {}),
    ("AWS::KMS::Key", {}, {"KMS keys": 1.0}),
    ("AWS::KMS::ReplicaKey", {}, {"KMS keys": 1.0}),
    ("AWS::SecretsManager::Secret", {"ReplicaRegions": [{"Region": "us-west-2"}]}, {"Secrets": 0.80}),
    ("AWS::WAFv2::WebACL", {"Rules": [{}, {}]}, {"Web ACLs": 5.0, "WAF rules": 2.0, "WAF requests": 1.2}),
    ("AWS::Logs::LogGroup", {"RetentionInDays": 365}, {"Logs": 1.0, "Logs kept": 2 * 12 * 0.15 * 0.03}),
    ("AWS::Logs::LogGroup", {"LogGroupClass": "INFREQUENT_ACCESS"}, {"Logs, infrequent access": 0.5}),
    ("AWS::Logs::MetricFilter", {"MetricTransformations": [{}, {}]}, {"Custom metrics": 0.60}),
    ("AWS::CloudWatch::Alarm", {"Period": 300}, {"Alarms": 0.10}),
    ("AWS::CloudWatch::Alarm", {"Period": 10}, {"Fast alarms": 0.30}),
    ("AWS::CloudWatch::Alarm", {"Metrics": [{"MetricStat": {}}, {"MetricStat": {}}, {}]}, {"Alarms": 0.20}),
    (
        "AWS::Synthetics::Canary",
        {"Schedule": {"Expression": "rate(5 minutes)"}, "StartCanaryAfterCreation": True},
        {"Canary runs": 8760 * 0.0012},
    ),
    (
        "AWS::GuardDuty::Detector",
        {"Enable": True, "Features": [{"Name": "RDS_LOGIN_EVENTS", "Status": "ENABLED"}]},
        {"GuardDuty events": 2.0, "GuardDuty logs": 10.0, "GuardDuty RDS_LOGIN_EVENTS": 4.0},
    ),
    ("AWS::Config::ConfigurationRecorder", {}, {"Config items": 6.0}),
    ("AWS::Config::ConfigRule", {}, {"Config evaluations": 0.20}),
    ("AWS::SecurityHub::Hub", {}, {"Security Hub checks": 10.0}),
    ("AWS::CloudTrail::Trail", {}, {}),
    ("AWS::CloudTrail::Trail", {"EventSelectors": [{"DataResources": [{}]}]}, {"Trail data events": 0.50}),
    ("AWS::ECR::Repository", {}, {"Images": 0.50}),
    ("AWS::S3::Bucket", {}, {"S3 storage": 0.23, "S3 writes": 0.25}),
    ("AWS::Backup::BackupVault", {}, {"Recovery points": 2.10}),
    (
        "AWS::Backup::BackupPlan",
        {"BackupPlan": {"BackupPlanRule": [{"CopyActions": [{}]}]}},
        {"Copies to another region": 1.20},
    ),
    ("AWS::Route53::HostedZone", {}, {"Hosted zones": 0.50, "DNS queries": 0.40}),
    (
        "AWS::Route53::HealthCheck",
        {"HealthCheckConfig": {"Type": "HTTPS", "RequestInterval": 10}},
        {"Health checks": 0.50, "Health check options": 2.0},
    ),
    (
        "AWS::CodeBuild::Project",
        {"Environment": {"Type": "ARM_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL"}},
        {"CodeBuild": 40 * 0.0034},
    ),
    ("AWS::Cognito::UserPool", {}, {"Cognito users, essentials": 0.0}),
    ("AWS::Cognito::UserPool", {"UserPoolTier": "PLUS"}, {"Cognito users, plus": 4.0}),
    (
        "AWS::ECS::Cluster",
        {"ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}]},
        {"Container Insights": 9.0},
    ),
    ("AWS::SSM::Parameter", {"Tier": "Advanced"}, {"Advanced parameters": 0.05}),
    ("AWS::AccessAnalyzer::Analyzer", {"Type": "ACCOUNT"}, {}),
    ("AWS::AccessAnalyzer::Analyzer", {"Type": "ACCOUNT_UNUSED_ACCESS"}, {"Unused access analysis": 8.0}),
]


@pytest.mark.parametrize(("type_name", "properties", "wanted"), NETWORK, ids=[row[0][5:] for row in NETWORK])
def test_a_type_costs_what_its_price_list_says(type_name: str, properties: Json, wanted: dict[str, float]) -> None:
    found = priced({"It": resource(type_name, properties)})

    assert {item: found[item] for item in wanted} == pytest.approx(wanted)
    if not wanted:
        assert found == {}


def test_dashboards_cost_from_the_fourth_on() -> None:
    boards = {f"Board{number}": resource("AWS::CloudWatch::Dashboard") for number in range(5)}

    assert priced(boards)["Dashboards"] == pytest.approx(6.0)
    assert priced({"Board0": boards["Board0"]}) == {}


def test_a_log_group_is_priced_by_what_writes_to_it() -> None:
    resources = {
        "Flows": resource("AWS::Logs::LogGroup"),
        "Flow": resource("AWS::EC2::FlowLog", {"LogGroupName": {"Ref": "Flows"}}),
    }

    assert priced(resources)["Logs"] == pytest.approx(10 * 0.50)


def test_a_second_trail_of_a_region_is_not_free() -> None:
    found = priced({"One": resource("AWS::CloudTrail::Trail"), "Two": resource("AWS::CloudTrail::Trail")})

    assert found == pytest.approx({"Second trail": 10.0})


UNPRICED: list[Json] = [
    resource("AWS::Redshift::Cluster"),
    resource("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "GatewayLoadBalancer"}),
    resource("AWS::RDS::DBCluster", {"Engine": "postgres"}),
    resource("AWS::RDS::DBInstance", {"Engine": "postgres"}),
    resource("AWS::ECS::Service", {"LaunchType": "EC2"}),
    resource("AWS::WAFv2::WebACL", {"Rules": [{"Statement": {"ManagedRuleGroupStatement": {"Name": "xBotControlx"}}}]}),
    resource("AWS::GuardDuty::Detector", {"Features": [{"Name": "NEW_THING", "Status": "ENABLED"}]}),
    resource("AWS::CodeBuild::Project", {"Environment": {"ComputeType": "BUILD_GENERAL1_2XLARGE"}}),
]


@pytest.mark.parametrize("found", UNPRICED, ids=[str(row["Type"])[5:] for row in UNPRICED])
def test_what_has_no_price_is_an_error_and_never_nothing(found: Json) -> None:
    with pytest.raises(BadInput, match="s/It"):
        priced({"It": found})


def test_an_instance_class_without_a_price_is_an_error() -> None:
    with pytest.raises(BadInput, match=r"db\.x99\.large"):
        priced({"Cluster": cluster(1), "Writer": instance("db.x99.large")})


def test_a_resource_whose_condition_is_false_costs_nothing() -> None:
    conditions = {"Never": {"Fn::Equals": ["a", "b"]}}
    found = assembly(stack("s", {"Key": resource("AWS::KMS::Key", Condition="Never")}, Conditions=conditions))

    assert priced(found) == {}


def test_the_app_is_priced_whole_in_every_form(matrix: Path, command: Any) -> None:
    told = command("cost", matrix)
    assert told.code == 0
    assert "dev:" in told.out
    [found] = json.loads(command("cost", matrix, "-o", "json").out)["estimates"]
    assert 50 < sum(line["usd"] for line in found["lines"]) < 1000
    assert {line["group"] for line in found["lines"]} >= {"Database", "Compute", "Network", "Keys and secrets"}
    page = command("cost", matrix, "-o", "markdown").out
    assert "| **sum** |" in page
    assert "https://aws.amazon.com/fargate/pricing/" in page
    assert "`aurora_storage_gb`" in page


def test_growth_over_a_tenth_fails_and_names_what_grew(
    matrix: Path, draft: Draft, tmp_path: Path, command: Any
) -> None:
    baseline = tmp_path / "baseline.json"
    assert command("cost", matrix, "--write", baseline).code == 0
    assert command("cost", matrix, "--baseline", baseline).code == 0

    for _, _, service in draft.all("AWS::ECS::Service"):
        service["Properties"]["DesiredCount"] = 6
    draft.write(tmp_path / "more" / "dev")
    grown = command("cost", tmp_path / "more", "--baseline", baseline)
    assert grown.code == 7
    assert "wanted at most 10 % more" in grown.err
    assert "Compute / Fargate ARM vCPU: 47.30 -> " in grown.err

    change("AWS::RDS::DBCluster", "Tags", [])(draft)
    accepted = command("cost", tmp_path / "more", "--write", baseline)
    assert accepted.code == 0
    assert command("cost", tmp_path / "more", "--baseline", baseline).code == 0


def test_a_little_growth_passes(tmp_path: Path, command: Any) -> None:
    keys = {f"Key{number}": resource("AWS::KMS::Key") for number in range(11)}
    write_assembly(tmp_path / "old" / "dev", stack("s", {name: keys[name] for name in list(keys)[:10]}))
    write_assembly(tmp_path / "new" / "dev", stack("s", keys))
    baseline = tmp_path / "baseline.json"
    assert command("cost", tmp_path / "old", "--write", baseline).code == 0

    assert command("cost", tmp_path / "new", "--baseline", baseline).code == 0


def test_a_configuration_without_a_baseline_is_an_error(matrix: Path, tmp_path: Path, command: Any) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text('{"as_of": "2026-11-25", "configurations": {}}')

    assert command("cost", matrix, "--baseline", baseline).code == 2


def test_an_override_of_no_assumption_is_an_error(tmp_path: Path, matrix: Path, command: Any) -> None:
    usage = tmp_path / "usage.yaml"
    usage.write_text("assumptions: {}\nconfigurations: {dev: {hourz: 1}}\n")

    outcome = command("cost", matrix, "--usage", usage)

    assert outcome.code == 2
    assert "hourz" in outcome.err
