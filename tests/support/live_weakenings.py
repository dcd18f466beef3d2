"""For each control, what weakens exactly that property of the deployed account.

Where the emulator can be brought into the weak state by its API, it is (`changed`, undone afterwards); where AWS or
moto allows no such change, or moto cannot hold the property at all, the answer is altered on the way in (`told`).
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any  # answers are free JSON

from support.emulated_account import Account, Tamper
from support.held_answers import ROLLOUT, Weaken, changed, clusters, restore_window, rows, services, told
from support.weakened_stores import (
    copies_stay_here,
    database_with,
    foreign_reader,
    key_policy_with,
    key_state,
    no_policy,
    no_rotation,
    no_versions,
    object_lock,
    old_tls,
    own_key_of_s3,
    parameter_set,
    plan_rules,
    public_block,
    second_region,
    shared_snapshot,
    vault_told,
)


@dataclass(frozen=True)
class Weakened:
    control: str
    title: str
    apply: Weaken
    also: frozenset[str] = field(default_factory=frozenset[str])


def _egress(named: str, permission: dict[str, Any]) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        ec2 = account.api("ec2")
        whole = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **permission}
        rule = {"GroupId": account.ids("AWS::EC2::SecurityGroup", named)[0], "IpPermissions": [whole]}
        ec2.authorize_security_group_egress(**rule)
        return lambda: ec2.revoke_security_group_egress(**rule)

    return changed(do)


def _out_to_the_edge(account: Account) -> AbstractContextManager[None]:
    edge = account.ids("AWS::EC2::SecurityGroup", "Edge")[0]
    return _egress("Serve", {"UserIdGroupPairs": [{"GroupId": edge}]})(account)


def _ingress(named: str, permission: dict[str, Any]) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        ec2 = account.api("ec2")
        group = account.ids("AWS::EC2::SecurityGroup", named)[0]
        whole = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, **permission}
        rule = {"GroupId": group, "IpPermissions": [whole]}
        ec2.authorize_security_group_ingress(**rule)
        return lambda: ec2.revoke_security_group_ingress(**rule)

    return changed(do)


def _edge_reaches_database(account: Account) -> AbstractContextManager[None]:
    edge = account.ids("AWS::EC2::SecurityGroup", "Edge")[0]
    return _ingress("Database", {"UserIdGroupPairs": [{"GroupId": edge}]})(account)


def _stranger_reaches_database(account: Account) -> Callable[[], Any]:
    """A group made by hand in the same VPC."""
    ec2 = account.api("ec2")
    vpc, database = account.ids("AWS::EC2::VPC")[0], account.ids("AWS::EC2::SecurityGroup", "Database")[0]
    group = ec2.create_security_group(GroupName="by-hand", Description="by hand", VpcId=vpc)["GroupId"]
    permission = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=database, IpPermissions=[permission])

    def undo() -> None:
        ec2.revoke_security_group_ingress(GroupId=database, IpPermissions=[permission])
        ec2.delete_security_group(GroupId=group)

    return undo


def _internet(named: str) -> Callable[[Account], Callable[[], Any]]:
    def do(account: Account) -> Callable[[], Any]:
        ec2 = account.api("ec2")
        table = account.ids("AWS::EC2::RouteTable", named)[0]
        gateway = account.ids("AWS::EC2::InternetGateway")[0]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="8.8.8.0/24", GatewayId=gateway)
        return lambda: ec2.delete_route(RouteTableId=table, DestinationCidrBlock="8.8.8.0/24")

    return do


def _peer(account: Account) -> Callable[[], Any]:
    ec2 = account.api("ec2")
    other = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    answer = ec2.create_vpc_peering_connection(VpcId=account.ids("AWS::EC2::VPC")[0], PeerVpcId=other)
    name = answer["VpcPeeringConnection"]["VpcPeeringConnectionId"]

    def undo() -> None:
        ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=name)
        ec2.delete_vpc(VpcId=other)

    return undo


def _policy(statement: dict[str, Any]) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        iam = account.api("iam")
        role = account.ids("AWS::IAM::Role", "TaskRole")[0]
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
        iam.put_role_policy(RoleName=role, PolicyName="by-hand", PolicyDocument=json.dumps(document))
        return lambda: iam.delete_role_policy(RoleName=role, PolicyName="by-hand")

    return changed(do)


def _attached(account: Account) -> Callable[[], Any]:
    iam, role = account.api("iam"), account.ids("AWS::IAM::Role", "TaskRole")[0]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    arn = iam.create_policy(PolicyName="by-hand", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)

    def undo() -> None:
        iam.detach_role_policy(RoleName=role, PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)

    return undo


def _trust(change: Callable[[list[dict[str, Any]]], None]) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        iam, role = account.api("iam"), account.ids("AWS::IAM::Role", "TaskRole")[0]
        before = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        after = json.loads(json.dumps(before))
        change(after["Statement"])
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(after))
        return lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(before))

    return changed(do)


def _no_firewall(account: Account) -> Callable[[], Any]:
    waf, arn = account.api("wafv2"), account.ids("AWS::ElasticLoadBalancingV2::LoadBalancer")[0]
    acl = waf.get_web_acl_for_resource(ResourceArn=arn)["WebACL"]["ARN"]
    waf.disassociate_web_acl(ResourceArn=arn)
    return lambda: waf.associate_web_acl(ResourceArn=arn, WebACLArn=acl)


def _count_only(answer: dict[str, Any]) -> None:
    for rule in answer["WebACL"]["Rules"]:
        if "OverrideAction" in rule:
            rule["OverrideAction"] = {"Count": {}}


def _instances(**values: Any) -> Weaken:
    return told("rds:DescribeDBInstances", rows("DBInstances", **values))


def _last_reader(answer: dict[str, Any]) -> None:
    answer["DBInstances"][1]["PromotionTier"] = 15


def _route_to_interface(answer: dict[str, Any]) -> None:
    """In every table that leads nowhere: those of the isolated subnets."""
    for table in answer["RouteTables"]:
        if all(route.get("GatewayId") == "local" for route in table["Routes"]):
            table["Routes"].append({"DestinationCidrBlock": "0.0.0.0/0", "NetworkInterfaceId": "eni-1"})


def _one_subnet(answer: dict[str, Any]) -> None:
    for service in answer["services"]:
        network = service["networkConfiguration"]["awsvpcConfiguration"]
        network["subnets"] = network["subnets"][:1]


def _variable(name: str, value: str) -> Weaken:
    return _containers(lambda container: container["environment"].append({"name": name, "value": value}))


def _listener(named: str, **values: Any) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        elb = account.api("elbv2")
        arn = next(arn for arn in account.ids("AWS::ElasticLoadBalancingV2::Listener", named))
        before = elb.describe_listeners(ListenerArns=[arn])["Listeners"][0]
        values_ = {key: value(account) if callable(value) else value for key, value in values.items()}
        elb.modify_listener(ListenerArn=arn, **values_)
        return lambda: elb.modify_listener(ListenerArn=arn, **{key: before[key] for key in values})

    return changed(do)


def _forward(account: Account) -> list[dict[str, Any]]:
    return [{"Type": "forward", "TargetGroupArn": account.ids("AWS::ElasticLoadBalancingV2::TargetGroup")[0]}]


def _rule(account: Account) -> Callable[[], Any]:
    elb, listener = account.api("elbv2"), account.ids("AWS::ElasticLoadBalancingV2::Listener", "Http4")[0]
    condition = {"Field": "path-pattern", "Values": ["/plain"]}
    answer = elb.create_rule(ListenerArn=listener, Conditions=[condition], Priority=1, Actions=_forward(account))
    return lambda: elb.delete_rule(RuleArn=answer["Rules"][0]["RuleArn"])


def _balancer(account: Account) -> Callable[[], Any]:
    elb, arn = account.api("elbv2"), account.ids("AWS::ElasticLoadBalancingV2::LoadBalancer")[0]

    def put(value: str) -> None:
        attribute = {"Key": "deletion_protection.enabled", "Value": value}
        elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])

    put("false")
    return lambda: put("true")


def _balancer_attribute(key: str, weak: str) -> Weaken:
    def do(account: Account) -> Callable[[], Any]:
        elb, arn = account.api("elbv2"), account.ids("AWS::ElasticLoadBalancingV2::LoadBalancer")[0]
        attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        before = next(row["Value"] for row in attributes if row["Key"] == key)

        def put(value: str) -> None:
            elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": value}])

        put(weak)
        return lambda: put(before)

    return changed(do)


def _containers(change: Callable[[dict[str, Any]], Any]) -> Weaken:
    def tamper(answer: dict[str, Any]) -> None:
        change(answer["taskDefinition"]["containerDefinitions"][0])

    return told("ecs:DescribeTaskDefinition", tamper)


def _retention(account: Account) -> Callable[[], Any]:
    logs, name = account.api("logs"), account.ids("AWS::Logs::LogGroup", "FlowLogs")[0]
    logs.put_retention_policy(logGroupName=name, retentionInDays=30)
    return lambda: logs.put_retention_policy(logGroupName=name, retentionInDays=400)


def _subnets_in_two_zones(answer: dict[str, Any]) -> None:
    for subnet in answer["Subnets"]:
        if subnet["AvailabilityZone"] == "us-east-1c":
            subnet["AvailabilityZone"] = "us-east-1b"


def _service_network(**values: Any) -> Tamper:
    def tamper(answer: dict[str, Any]) -> None:
        for service in answer["services"]:
            service["networkConfiguration"]["awsvpcConfiguration"].update(values)

    return tamper


def _members(answer: dict[str, Any]) -> None:
    for cluster in answer["DBClusters"]:
        cluster["DBClusterMembers"][0]["DBClusterParameterGroupStatus"] = "pending-reboot"


def _ssl_mode(container: dict[str, Any]) -> None:
    for row in container["environment"]:
        if row["name"] == "PGSSLMODE":
            row["value"] = "prefer"


def _forget_source(statements: list[dict[str, Any]]) -> None:
    del statements[0]["Condition"]


def _foreign_trust(statements: list[dict[str, Any]]) -> None:
    statements.append({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": _FOREIGN})


def _none_at_night(account: Account) -> AbstractContextManager[None]:
    service = account.ids("AWS::ECS::Service")[0].rpartition(":")[2]
    close = {
        "ResourceId": service,
        "ScalableDimension": "ecs:service:DesiredCount",
        "Schedule": "cron(0 17 * * ? *)",
        "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 0},
    }
    return account.told([(_SCHEDULED, lambda answer: answer.update(ScheduledActions=[close]))])


_SCALABLE = "application-autoscaling:DescribeScalableTargets"
_SCHEDULED = "application-autoscaling:DescribeScheduledActions"
_IMAGES = "ecr:DescribeRepositories"
_PLAN, _SELECTION = "backup:GetBackupPlan", "backup:GetBackupSelection"
_HEADERS, _DESYNC = "routing.http.drop_invalid_header_fields.enabled", "routing.http.desync_mitigation_mode"
_WORLD_22 = {"FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
_WORLD_443 = {"FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
_SERVICES, _CLUSTERS = "ecs:DescribeServices", "rds:DescribeDBClusters"
_LOGS, _FLOW_LOGS, _ENDPOINTS = "logs:DescribeLogGroups", "ec2:DescribeFlowLogs", "ec2:DescribeVpcEndpoints"
_ROTATION, _STACKS = "kms:GetKeyRotationStatus", "cloudformation:DescribeStacks"
_TARGETS = "elbv2:DescribeTargetGroups"
_TENANT = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
_TAGGED = "000000000000.dkr.ecr.us-east-1.amazonaws.com/signalbox:latest"
_BREAKER = "deploymentCircuitBreaker"
_FOREIGN = {"AWS": "arn:aws:iam::999999999999:root"}
_OPERATOR = {"AWS": "arn:aws:iam::000000000000:role/operator"}
_FOREIGN_ROLE = {"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::999999999999:role/tenant"}
_DAT_02, _DAT_12 = frozenset({"DAT-02"}), frozenset({"DAT-12"})

WEAKENED = [
    Weakened("DAT-01", "storage not encrypted", told(_CLUSTERS, clusters(StorageEncrypted=False))),
    Weakened("DAT-01", "encryption not told", told(_CLUSTERS, clusters(StorageEncrypted=None))),
    Weakened("DAT-02", "a key of elsewhere", told(_CLUSTERS, clusters(KmsKeyId="arn:aws:kms:us-east-1:1:key/else"))),
    Weakened("DAT-02", "no key told", told(_CLUSTERS, clusters(KmsKeyId=None))),
    Weakened("DAT-03", "no rotation", changed(no_rotation)),
    Weakened("DAT-03", "rotation too rare", told(_ROTATION, lambda it: it.update(RotationPeriodInDays=730))),
    Weakened("DAT-04", "anybody decrypts", key_policy_with({"Action": "kms:Decrypt", "Principal": "*"}), _DAT_12),
    Weakened("DAT-04", "a role administers and uses", key_policy_with({"Action": "kms:*", "Principal": _OPERATOR})),
    Weakened("DAT-05", "a key awaits deletion", key_state("PendingDeletion"), _DAT_02),
    Weakened("DAT-05", "the state not told", key_state(None), _DAT_02),
    Weakened("DAT-08", "log groups without a key", told(_LOGS, rows("logGroups", kmsKeyId=None))),
    Weakened("DAT-08", "an empty key", told(_LOGS, rows("logGroups", kmsKeyId=""))),
    Weakened("DAT-09", "no versions", changed(no_versions)),
    Weakened("DAT-09", "S3's own key", told("s3:GetBucketEncryption", own_key_of_s3)),
    Weakened("DAT-11", "TLS 1.0 accepted", changed(old_tls)),
    Weakened("DAT-11", "no policy", changed(no_policy)),
    Weakened("DAT-10", "public policies allowed", public_block({"BlockPublicPolicy": False})),
    Weakened("DAT-10", "no block at all", public_block(None)),
    Weakened("DAT-12", "another account reads the bucket", changed(foreign_reader)),
    Weakened(
        "DAT-12", "another account uses the key", key_policy_with({"Action": "kms:Decrypt", "Principal": _FOREIGN})
    ),
    Weakened("DAT-13", "locked for a month", object_lock(Days=30)),
    Weakened("DAT-13", "a lock that an administrator opens", object_lock(Mode="GOVERNANCE")),
    Weakened("DAT-14", "a snapshot for everybody", changed(shared_snapshot)),
    Weakened("DAT-14", "a vault without a key", vault_told(EncryptionKeyArn=None)),
    Weakened("NET-01", "an address", _ingress("Database", {"IpRanges": [{"CidrIp": "10.0.0.0/8"}]})),
    Weakened("NET-01", "the load balancer", _edge_reaches_database),
    Weakened("NET-01", "a group made by hand", changed(_stranger_reaches_database)),
    Weakened("NET-02", "a route to the internet", changed(_internet("isolatedSubnet1"))),
    Weakened("NET-02", "a route to an interface", told("ec2:DescribeRouteTables", _route_to_interface)),
    Weakened("NET-03", "public instances", _instances(PubliclyAccessible=True)),
    Weakened("NET-03", "publicity not told", _instances(PubliclyAccessible=None)),
    Weakened("NET-04", "tasks with an address", told(_SERVICES, _service_network(assignPublicIp="ENABLED"))),
    Weakened("NET-04", "a route to the internet", changed(_internet("privateSubnet2"))),
    Weakened("NET-05", "out to the internet", _egress("Serve", {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]})),
    Weakened("NET-05", "out to the load balancer", _out_to_the_edge),
    Weakened("NET-06", "SSH at the edge", _ingress("Edge", _WORLD_22)),
    Weakened("NET-06", "endpoints open", _ingress("Endpoints", _WORLD_443)),
    Weakened("NET-08", "no flow log", told(_FLOW_LOGS, lambda it: it.update(FlowLogs=[]))),
    Weakened("NET-08", "not delivered", told(_FLOW_LOGS, rows("FlowLogs", DeliverLogsStatus="FAILED"))),
    Weakened("NET-08", "kept for a month", changed(_retention)),
    Weakened("NET-10", "two zones", told("ec2:DescribeSubnets", _subnets_in_two_zones)),
    Weakened("NET-10", "a service in one subnet", told(_SERVICES, _one_subnet)),
    Weakened("NET-12", "a peering", changed(_peer)),
    Weakened("NET-12", "an endpoint to a tenant", told(_ENDPOINTS, rows("VpcEndpoints", ServiceName=_TENANT))),
    Weakened("NET-12", "a role of another account", _policy(_FOREIGN_ROLE)),
    Weakened("TLS-01", "an old policy", _listener("Https", SslPolicy="ELBSecurityPolicy-2016-08")),
    Weakened("TLS-01", "policy not told", told("elbv2:DescribeListeners", rows("Listeners", SslPolicy=None))),
    Weakened("TLS-02", "port 80 forwards", _listener("Http4", DefaultActions=_forward)),
    Weakened("TLS-02", "a rule of port 80 forwards", changed(_rule)),
    Weakened("TLS-03", "plain text to the task", told(_TARGETS, rows("TargetGroups", Protocol="HTTP"))),
    Weakened("TLS-03", "plain health checks", told(_TARGETS, rows("TargetGroups", HealthCheckProtocol="HTTP"))),
    Weakened("TLS-04", "plain text accepted", parameter_set("rds.force_ssl", "0")),
    Weakened("TLS-04", "not yet in force", told(_CLUSTERS, _members)),
    Weakened("TLS-04", "certificate not verified", _containers(_ssl_mode)),
    Weakened("BCP-01", "a week of backups", database_with(BackupRetentionPeriod=7)),
    Weakened("BCP-01", "no window", told(_CLUSTERS, clusters(PreferredBackupWindow=None))),
    Weakened("BCP-02", "an hour behind", told(_CLUSTERS, restore_window(lag=timedelta(hours=1)))),
    Weakened("BCP-02", "a week only", told(_CLUSTERS, restore_window(reach=timedelta(days=7)))),
    Weakened("TLS-08", "broken headers pass", _balancer_attribute(_HEADERS, "false")),
    Weakened("TLS-08", "a lax mode", _balancer_attribute(_DESYNC, "monitor")),
    Weakened("BCP-03", "once a week", told(_PLAN, plan_rules(ScheduleExpression="cron(0 5 ? * SUN *)"))),
    Weakened("BCP-03", "not selected", told(_SELECTION, lambda it: it["BackupSelection"].update(Resources=[]))),
    Weakened("BCP-04", "no lock", vault_told(Locked=False)),
    Weakened("BCP-04", "a lock that can be taken off", vault_told(LockDate=None)),
    Weakened("BCP-05", "a second region without a copy", second_region),
    Weakened("BCP-05", "a copy into the same region", copies_stay_here),
    Weakened("BCP-07", "both in one zone", _instances(AvailabilityZone="us-east-1a")),
    Weakened("BCP-07", "a reader of last resort", told("rds:DescribeDBInstances", _last_reader)),
    Weakened("BCP-08", "one task", told(_SCALABLE, rows("ScalableTargets", MinCapacity=1))),
    Weakened("BCP-08", "none at night", _none_at_night),
    Weakened("BCP-08", "one runs", told(_SERVICES, services(runningCount=1))),
    Weakened("BCP-08", "no rollback", told(_SERVICES, services(deploymentConfiguration={**ROLLOUT, _BREAKER: {}}))),
    Weakened("BCP-08", "rebalancing not told", told(_SERVICES, services(availabilityZoneRebalancing=None))),
    Weakened("BCP-09", "database unprotected", database_with(DeletionProtection=False)),
    Weakened("BCP-09", "load balancer unprotected", changed(_balancer)),
    Weakened("BCP-09", "stacks unprotected", told(_STACKS, rows("Stacks", EnableTerminationProtection=False))),
    Weakened("IAM-01", "everything of a service", _policy({"Action": "s3:*", "Resource": "arn:aws:s3:::x/*"})),
    Weakened("IAM-01", "a policy attached by hand", changed(_attached)),
    Weakened("IAM-03", "another account", _trust(_foreign_trust)),
    Weakened("IAM-03", "a confused deputy", _trust(_forget_source)),
    Weakened("IAM-07", "passwords alone", told(_CLUSTERS, clusters(IAMDatabaseAuthenticationEnabled=False))),
    Weakened("IAM-07", "logins not told", told(_CLUSTERS, clusters(IAMDatabaseAuthenticationEnabled=None))),
    Weakened("IAM-08", "a shell", told(_SERVICES, services(enableExecuteCommand=True))),
    Weakened("IAM-08", "not told", told(_SERVICES, services(enableExecuteCommand=None))),
    Weakened("LOG-02", "every statement", parameter_set("log_statement", "all")),
    Weakened("LOG-02", "values of slow ones", parameter_set("log_parameter_max_length", "-1")),
    Weakened("WRK-01", "a tag", _containers(lambda it: it.update(image=_TAGGED))),
    Weakened("WRK-01", "another registry", _containers(lambda it: it.update(image="docker.io/a@sha256:" + "0" * 64))),
    Weakened("WRK-02", "root", _containers(lambda it: it.update(user="root"))),
    Weakened("WRK-02", "a writable disk", _containers(lambda it: it.pop("readonlyRootFilesystem"))),
    Weakened("WRK-03", "a password", _variable("DB_PASSWORD", "correct horse battery")),
    Weakened("WRK-03", "an access key", _variable("SETTING", "AKIA" + "IOSFODNN7EXAMPLE")),
    Weakened("WRK-04", "tags that move", told(_IMAGES, rows("repositories", imageTagMutability="MUTABLE"))),
    Weakened("WRK-04", "not scanned", told(_IMAGES, rows("repositories", imageScanningConfiguration={}))),
    Weakened("WRK-10", "no firewall", changed(_no_firewall)),
    Weakened("WRK-10", "attacks counted only", told("wafv2:GetWebACLForResource", _count_only)),
]
