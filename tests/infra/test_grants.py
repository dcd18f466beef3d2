"""The constructs as a library: what a consumer in another stack gets by asking, and nothing else."""

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from signalbox_constructs import principals
from signalbox_constructs.aurora import AuroraPostgres, AuroraPostgresProps, Serverless
from signalbox_constructs.encryption import customer_key
from signalbox_constructs.firewall import ClosedSecurityGroup
from signalbox_constructs.network import ExistingVpc, ThreeTierNetwork, ThreeTierNetworkProps

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
ENV = cdk.Environment(account="000000000000", region="eu-west-1")


def _vpc(endpoint_group: str | None = None) -> ExistingVpc:
    return ExistingVpc(
        vpc_id="vpc-0123456789abcdef0",
        cidr="10.60.0.0/16",
        zones=ZONES,
        public_subnet_ids=("subnet-0a000001", "subnet-0a000002", "subnet-0a000003"),
        private_subnet_ids=("subnet-0b000001", "subnet-0b000002", "subnet-0b000003"),
        isolated_subnet_ids=("subnet-0c000001", "subnet-0c000002", "subnet-0c000003"),
        endpoint_security_group_id=endpoint_group,
    )


def _network(stack: cdk.Stack, *, zones: tuple[str, ...], group: str | None = None) -> ThreeTierNetwork:
    props = ThreeTierNetworkProps(
        vpc=_vpc(group), endpoint_zones=zones, tasks="private", s3_prefix_list_id="pl-6da54004"
    )
    return ThreeTierNetwork(stack, "Network", props)


def _database(stack: cdk.Stack) -> AuroraPostgres:
    key = customer_key(stack, "Key", description="test", alias="test")
    props = AuroraPostgresProps(
        vpc=_network(stack, zones=ZONES).vpc,
        zones=ZONES[:2],
        key=key,
        log_key=key,
        identifier="database",
        parameter_prefix="/test/database",
        engine_version="17.7",
        capacity=Serverless(min_capacity=1, max_capacity=2),
        backup_retention=cdk.Duration.days(35),
    )
    return AuroraPostgres(stack, "Database", props)


def _statements(stack: cdk.Stack) -> list[dict[str, Any]]:
    policies = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    return [it for policy in policies for it in policy["Properties"]["PolicyDocument"]["Statement"]]


def test_a_login_is_for_one_user_of_the_cluster_that_ssm_names_at_deployment() -> None:
    app = cdk.App()
    data, consumer = cdk.Stack(app, "data", env=ENV), cdk.Stack(app, "consumer", env=ENV)
    database = _database(data)
    role = principals.service_role(consumer, "Role", assumed_by="ecs-tasks.amazonaws.com", source="ecs")

    database.grant_login(role, "signalbox_api")

    (statement,) = _statements(consumer)
    parameters = Template.from_stack(consumer).to_json()["Parameters"]
    (name,) = (name for name, it in parameters.items() if it.get("Default") == "/test/database/resource-id")
    arn = ["arn:aws:rds-db:eu-west-1:000000000000:dbuser:", {"Ref": name}, "/signalbox_api"]
    assert statement["Action"] == "rds-db:connect"
    assert statement["Resource"] == {"Fn::Join": ["", arn]}
    assert data in consumer.dependencies


def test_a_reader_of_the_secret_gets_its_key_through_secrets_manager_only() -> None:
    app = cdk.App()
    data, consumer = cdk.Stack(app, "data", env=ENV), cdk.Stack(app, "consumer", env=ENV)
    database = _database(data)
    role = principals.service_role(consumer, "Role", assumed_by="ecs-tasks.amazonaws.com", source="ecs")

    database.grant_secret(role)
    secret = database.secret_of(consumer)

    read, decrypt = _statements(consumer)
    assert read["Resource"] == consumer.resolve(secret.secret_arn)
    assert decrypt["Condition"] == {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}}
    key = next(iter(Template.from_stack(data).find_resources("AWS::KMS::Key").values()))
    assert "Role" not in json.dumps(key["Properties"]["KeyPolicy"])


@pytest.mark.parametrize(
    ("zones", "group", "ways"),
    [
        (ZONES, None, {("group", 443), ("pl-6da54004", 443)}),
        ((), "sg-0123456789abcdef0", {("sg-0123456789abcdef0", 443), ("pl-6da54004", 443)}),
        ((), None, {("0.0.0.0/0", 443)}),
    ],
)
def test_a_caller_of_aws_gets_the_ways_that_the_network_has(
    zones: tuple[str, ...], group: str | None, ways: set[tuple[str, int]]
) -> None:
    stack = cdk.Stack(cdk.App(), "stack", env=ENV)
    network = _network(stack, zones=zones, group=group)
    caller = ClosedSecurityGroup(stack, "Caller", vpc=network.vpc, description="caller")

    network.allow_calls_of(caller, "caller")

    template = Template.from_stack(stack)
    rules = [it["Properties"] for it in template.find_resources("AWS::EC2::SecurityGroupEgress").values()]
    callers = template.find_resources("AWS::EC2::SecurityGroup", {"Properties": {"GroupDescription": "caller"}})
    inline = next(iter(callers.values()))["Properties"]["SecurityGroupEgress"]
    found = {(_peer(rule), rule["ToPort"]) for rule in [*rules, *inline] if rule["IpProtocol"] == "tcp"}
    assert found == ways


def _peer(rule: dict[str, Any]) -> str:
    peer = rule.get("CidrIp") or rule.get("DestinationPrefixListId") or rule["DestinationSecurityGroupId"]
    return peer if isinstance(peer, str) else "group"
