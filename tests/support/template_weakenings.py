"""For each control, what weakens exactly that property of the template.

`also` names the controls that the same change rightly fails too; a weakening that fails any other control is a fault of
the catalogue (two controls that say the same) or of a check.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any  # templates are free JSON

from support.assemblies import DATABASE_GROUP, Draft, Weakening, attribute, change

CLUSTER, INSTANCE = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance"
KEY, BUCKET, LOGS = "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::Logs::LogGroup"
GROUP, ROLE, POLICY = "AWS::EC2::SecurityGroup", "AWS::IAM::Role", "AWS::IAM::Policy"
SERVICE, TASK = "AWS::ECS::Service", "AWS::ECS::TaskDefinition"
LISTENER, BALANCER = "AWS::ElasticLoadBalancingV2::Listener", "AWS::ElasticLoadBalancingV2::LoadBalancer"
VAULT, PLAN = "AWS::Backup::BackupVault", "AWS::Backup::BackupPlan"
SELECTION, SCALED = "AWS::Backup::BackupSelection", "AWS::ApplicationAutoScaling::ScalableTarget"
REPOSITORY, PARAMETERS = "AWS::ECR::Repository", "AWS::RDS::DBClusterParameterGroup"
TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"
CONTAINER = "ContainerDefinitions.0"
OTHER_ACCOUNT = "arn:aws:iam::999999999999:root"


@dataclass(frozen=True)
class Weakened:
    control: str
    title: str
    apply: Weakening
    also: frozenset[str] = field(default_factory=frozenset[str])


def _admit(rule: dict[str, Any]) -> Weakening:
    """An ingress rule of its own to the database's group, from another stack."""

    def apply(draft: Draft) -> None:
        group = _import(draft, DATABASE_GROUP)
        rule_ = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "GroupId": group, **rule}
        draft.add(SERVICE, "Intruder", {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule_})

    return apply


def _import(draft: Draft, named: str) -> dict[str, Any]:
    for template in draft.stacks.values():
        for name, output in template.get("Outputs", {}).items():
            if named in name:
                return {"Fn::ImportValue": output["Export"]["Name"]}
    raise AssertionError(f"no export named *{named}*")


def _admit_load_balancer(draft: Draft) -> None:
    _admit({"SourceSecurityGroupId": _import(draft, "EdgeSecurityGroup")})(draft)


def _route_out(target: dict[str, Any]) -> Weakening:
    def apply(draft: Draft) -> None:
        table = draft.id_of("AWS::EC2::RouteTable", "isolatedSubnet1")
        route = {"RouteTableId": {"Ref": table}, "DestinationCidrBlock": "0.0.0.0/0", **target}
        draft.add("AWS::EC2::VPC", "WayOut", {"Type": "AWS::EC2::Route", "Properties": route})

    return apply


def _nat(draft: Draft) -> None:
    _route_out({"NatGatewayId": {"Ref": draft.id_of("AWS::EC2::NatGateway")}})(draft)


def _lose_association(draft: Draft) -> None:
    stack, logical_id, _ = next(
        it for it in draft.all("AWS::EC2::SubnetRouteTableAssociation") if "isolatedSubnet2" in it[1]
    )
    del draft.stacks[stack]["Resources"][logical_id]


def _public_subnets(draft: Draft) -> None:
    names = [f"publicSubnet{number}" for number in (1, 2, 3)]
    subnets = [_import(draft, name) for name in names]
    draft.properties(SERVICE)["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"] = subnets


def _open(named: str, rule: dict[str, Any]) -> Weakening:
    def apply(draft: Draft) -> None:
        draft.properties(GROUP, named).setdefault("SecurityGroupIngress", []).append({"IpProtocol": "tcp", **rule})

    return apply


def allow(statement: dict[str, Any]) -> Weakening:
    """One more statement of the first policy of a role."""

    def apply(draft: Draft) -> None:
        draft.properties(POLICY)["PolicyDocument"]["Statement"].append({"Effect": "Allow", **statement})

    return apply


def _keyallow(statement: dict[str, Any]) -> Weakening:
    def apply(draft: Draft) -> None:
        draft.properties(KEY)["KeyPolicy"]["Statement"].append({"Effect": "Allow", "Resource": "*", **statement})

    return apply


def _bucketallow(statement: dict[str, Any]) -> Weakening:
    def apply(draft: Draft) -> None:
        document = draft.properties("AWS::S3::BucketPolicy")["PolicyDocument"]
        document["Statement"].append({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement})

    return apply


def _trust(statement: dict[str, Any]) -> Weakening:
    def apply(draft: Draft) -> None:
        statements = draft.properties(ROLE, "Task")["AssumeRolePolicyDocument"]["Statement"]
        statements.append({"Effect": "Allow", "Action": "sts:AssumeRole", **statement})

    return apply


def _forget_source(draft: Draft) -> None:
    del draft.properties(ROLE, "Task")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]


def _variable(name: str, value: object) -> Weakening:
    def apply(draft: Draft) -> None:
        draft.properties(TASK)["ContainerDefinitions"][0]["Environment"].append({"Name": name, "Value": value})

    return apply


def _ssl_mode(mode: str | None) -> Weakening:
    def apply(draft: Draft) -> None:
        rows = draft.properties(TASK)["ContainerDefinitions"][0]["Environment"]
        row = next(row for row in rows if row["Name"] == "PGSSLMODE")
        if mode is None:
            rows.remove(row)
        else:
            row["Value"] = mode

    return apply


def _balancer_attribute(value: str | None, key: str = "deletion_protection.enabled") -> Weakening:
    def apply(draft: Draft) -> None:
        rows = draft.properties(BALANCER)["LoadBalancerAttributes"]
        row = next(row for row in rows if row["Key"] == key)
        if value is None:
            rows.remove(row)
        else:
            row["Value"] = value

    return apply


def _unprotect(draft: Draft) -> None:
    draft.protect(draft.all(CLUSTER)[0][0], protected=False)


def _remove(type_name: str, named: str = "") -> Weakening:
    def apply(draft: Draft) -> None:
        stack, logical_id, _ = next(it for it in draft.all(type_name) if named in it[1])
        del draft.stacks[stack]["Resources"][logical_id]

    return apply


def _same_zone(draft: Draft) -> None:
    zones = [instance["Properties"] for _, _, instance in draft.all(INSTANCE)]
    zones[1]["AvailabilityZone"] = zones[0]["AvailabilityZone"]


def _two_zones(draft: Draft) -> None:
    draft.properties("AWS::RDS::DBSubnetGroup")["SubnetIds"].pop()


def _one_zone_load_balancer(draft: Draft) -> None:
    balancer = draft.properties("AWS::ElasticLoadBalancingV2::LoadBalancer")
    balancer["Subnets"] = balancer["Subnets"][:1]


def _one_zone_service(draft: Draft) -> None:
    network = draft.properties(SERVICE)["NetworkConfiguration"]["AwsvpcConfiguration"]
    network["Subnets"] = network["Subnets"][:1]


def _one_task_for_good(draft: Draft) -> None:
    """A fixed number instead of autoscaling."""
    for type_name in ("AWS::ApplicationAutoScaling::ScalingPolicy", "AWS::ApplicationAutoScaling::ScalableTarget"):
        for stack, logical_id, _ in draft.all(type_name):
            del draft.stacks[stack]["Resources"][logical_id]
    for _, _, service in draft.all(SERVICE):
        service["Properties"]["DesiredCount"] = 2
    draft.properties(SERVICE)["DesiredCount"] = 1


def _peer(draft: Draft) -> None:
    vpc = draft.id_of("AWS::EC2::VPC")
    properties = {"VpcId": {"Ref": vpc}, "PeerVpcId": "vpc-0123456789abcdef0", "PeerOwnerId": "999999999999"}
    draft.add("AWS::EC2::VPC", "Peer", {"Type": "AWS::EC2::VPCPeeringConnection", "Properties": properties})


def _foreign_endpoint(draft: Draft) -> None:
    vpc = draft.id_of("AWS::EC2::VPC")
    service = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
    properties = {"VpcId": {"Ref": vpc}, "ServiceName": service, "VpcEndpointType": "Interface"}
    draft.add("AWS::EC2::VPC", "Tenant", {"Type": "AWS::EC2::VPCEndpoint", "Properties": properties})


def _forwarding_rule(draft: Draft) -> None:
    forward = {"Type": "forward", "TargetGroupArn": {"Ref": draft.id_of(TARGETS)}}
    properties = {"ListenerArn": {"Ref": draft.id_of(LISTENER, "Http4")}, "Priority": 1, "Actions": [forward]}
    draft.add(LISTENER, "Forward", {"Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": properties})


def _forward_plain(draft: Draft) -> None:
    forward = {"Type": "forward", "TargetGroupArn": {"Ref": draft.id_of(TARGETS)}}
    draft.properties(LISTENER, "Http4")["DefaultActions"] = [forward]


def _plain_listener(draft: Draft) -> None:
    forward = {"Type": "forward", "TargetGroupArn": {"Ref": draft.id_of(TARGETS)}}
    balancer = {"Ref": draft.id_of(BALANCER)}
    properties = {"LoadBalancerArn": balancer, "Port": 8080, "Protocol": "HTTP", "DefaultActions": [forward]}
    draft.add(LISTENER, "Plain", {"Type": LISTENER, "Properties": properties})


def _parameter(name: str, value: str | None) -> Weakening:
    """The names of parameters hold dots, so they are no path."""

    def apply(draft: Draft) -> None:
        parameters = draft.properties(PARAMETERS)["Parameters"]
        parameters[name] = value
        if value is None:
            del parameters[name]

    return apply


def _let_out(rule: dict[str, Any]) -> Weakening:
    """One more way out for the tasks of a service."""

    def apply(draft: Draft) -> None:
        group = {"Fn::GetAtt": [draft.id_of(GROUP, "Serve"), "GroupId"]}
        properties = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "GroupId": group, **rule}
        draft.add(SERVICE, "WayOut", {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": properties})

    return apply


def _let_out_to_the_edge(draft: Draft) -> None:
    _let_out({"DestinationSecurityGroupId": _import(draft, "EdgeSecurityGroup")})(draft)


def _accept_old_tls(draft: Draft) -> None:
    document = draft.properties("AWS::S3::BucketPolicy")["PolicyDocument"]
    document["Statement"] = [it for it in document["Statement"] if "s3:TlsVersion" not in str(it.get("Condition"))]


def _acl_rule(named: str) -> Callable[[Draft], dict[str, Any]]:
    return lambda draft: next(it for it in draft.properties("AWS::WAFv2::WebACL")["Rules"] if it["Name"] == named)


def _count_only(draft: Draft) -> None:
    _acl_rule("AWSManagedRulesCommonRuleSet")(draft)["OverrideAction"] = {"Count": {}}


def _count_floods(draft: Draft) -> None:
    _acl_rule("RequestsPerAddress")(draft)["Action"] = {"Count": {}}


def _second_region(draft: Draft) -> None:
    vault = copy.deepcopy(draft.one(VAULT))
    vault["Properties"]["EncryptionKeyArn"] = {"Ref": "FarKey"}
    far = {"FarKey": copy.deepcopy(draft.one(KEY)), "FarVault": vault}
    draft.add_stack("signalbox-far", {"Resources": far}, region="us-west-2")


def _copies_stay_here(draft: Draft) -> None:
    _second_region(draft)
    vault = "arn:aws:backup:us-east-1:000000000000:backup-vault:signalbox"
    change(PLAN, f"{_RULE}.CopyActions", [{"DestinationBackupVaultArn": vault}])(draft)


_RULE = "BackupPlan.BackupPlanRule.0"
_LOCK = "ObjectLockConfiguration.Rule.DefaultRetention"
_DEFAULT = "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault"
_FOREIGN_KEY = "arn:aws:kms:us-east-1:000000000000:key/x"
_HEADERS, _DESYNC = "routing.http.drop_invalid_header_fields.enabled", "routing.http.desync_mitigation_mode"
_NIGHT = [{"ScheduledActionName": "Close", "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 0}}]
_NO_BLOCK = "PublicAccessBlockConfiguration"
_ROLLOUT = "DeploymentConfiguration"
_NETWORK = "NetworkConfiguration.AwsvpcConfiguration"
_MASTER = {"AWS": {"Fn::Join": ["", ["arn:aws:iam::", {"Ref": "AWS::AccountId"}, ":role/operator"]]}}

WEAKENED = [
    Weakened("DAT-01", "storage not encrypted", change(CLUSTER, "StorageEncrypted", value=False)),
    Weakened("DAT-01", "encryption not said", change(CLUSTER, "StorageEncrypted", None)),
    Weakened("DAT-02", "the provider's key", change(CLUSTER, "KmsKeyId", None)),
    Weakened("DAT-02", "a key of elsewhere", change(CLUSTER, "KmsKeyId", "arn:aws:kms:us-east-1:000000000000:key/x")),
    Weakened("DAT-03", "no rotation", change(KEY, "EnableKeyRotation", value=False)),
    Weakened("DAT-03", "rotation every two years", change(KEY, "RotationPeriodInDays", 730)),
    Weakened(
        "DAT-04",
        "anybody may decrypt",
        _keyallow({"Action": "kms:Decrypt", "Principal": "*"}),
        frozenset({"DAT-12"}),
    ),
    Weakened("DAT-04", "one role administers and uses", _keyallow({"Action": "kms:*", "Principal": _MASTER})),
    Weakened("DAT-05", "deleted within a week", change(KEY, "PendingWindowInDays", 7)),
    Weakened("DAT-05", "deleted with its stack", attribute(KEY, "DeletionPolicy", "Delete"), frozenset({"BCP-10"})),
    Weakened("DAT-08", "a log group without a key", change(LOGS, "KmsKeyId", None)),
    Weakened("DAT-08", "another one", change(LOGS, "KmsKeyId", None, named="ServerLogs")),
    Weakened("DAT-09", "S3's own key", change(BUCKET, f"{_DEFAULT}.SSEAlgorithm", "AES256", named="Audit")),
    Weakened("DAT-09", "a key of elsewhere", change(BUCKET, f"{_DEFAULT}.KMSMasterKeyID", _FOREIGN_KEY, named="Audit")),
    Weakened("DAT-09", "no versions", change(BUCKET, "VersioningConfiguration", None, named="Canary")),
    Weakened("DAT-09", "no word of what it keeps", change(BUCKET, "Tags", None, named="Canary"), frozenset({"DAT-13"})),
    Weakened("DAT-11", "TLS 1.0 accepted", _accept_old_tls),
    Weakened("DAT-11", "no policy", _remove("AWS::S3::BucketPolicy")),
    Weakened("DAT-10", "public policies allowed", change(BUCKET, f"{_NO_BLOCK}.BlockPublicPolicy", value=False)),
    Weakened("DAT-10", "no block at all", change(BUCKET, _NO_BLOCK, None)),
    Weakened("DAT-10", "ACLs in force", change(BUCKET, "OwnershipControls.Rules.0.ObjectOwnership", "ObjectWriter")),
    Weakened("DAT-12", "another account reads the bucket", _bucketallow({"Principal": {"AWS": OTHER_ACCOUNT}})),
    Weakened("DAT-12", "everybody reads the bucket", _bucketallow({"Principal": "*"})),
    Weakened(
        "DAT-12",
        "another account uses the key",
        _keyallow({"Action": "kms:Decrypt", "Principal": {"AWS": "999999999999"}}),
    ),
    Weakened("DAT-13", "locked for a month", change(BUCKET, f"{_LOCK}.Days", 30, named="Audit")),
    Weakened(
        "DAT-13", "a lock that an administrator opens", change(BUCKET, f"{_LOCK}.Mode", "GOVERNANCE", named="Audit")
    ),
    Weakened("DAT-13", "no lock", change(BUCKET, "ObjectLockConfiguration", None, named="TrailArchive")),
    Weakened("DAT-14", "the provider's key", change(VAULT, "EncryptionKeyArn", None)),
    Weakened("DAT-14", "a key of elsewhere", change(VAULT, "EncryptionKeyArn", _FOREIGN_KEY)),
    Weakened("NET-01", "an address reaches the database", _admit({"CidrIp": "10.0.0.0/8"})),
    Weakened("NET-01", "the load balancer reaches it", _admit_load_balancer),
    Weakened("NET-01", "all ports of it", change("AWS::EC2::SecurityGroupIngress", "ToPort", 5433, named="toD2")),
    Weakened("NET-02", "a route to NAT", _nat),
    Weakened("NET-02", "a route to a transit gateway", _route_out({"TransitGatewayId": "tgw-0123456789abcdef0"})),
    Weakened("NET-02", "no route table of its own", _lose_association),
    Weakened("NET-03", "a public instance", change(INSTANCE, "PubliclyAccessible", value=True)),
    Weakened("NET-03", "publicity not said", change(INSTANCE, "PubliclyAccessible", None)),
    Weakened("NET-04", "tasks with a public address", change(SERVICE, f"{_NETWORK}.AssignPublicIp", "ENABLED")),
    Weakened("NET-04", "addresses not said", change(SERVICE, f"{_NETWORK}.AssignPublicIp", None)),
    Weakened("NET-04", "tasks in public subnets", _public_subnets),
    Weakened("NET-05", "out to the internet", _let_out({"CidrIp": "0.0.0.0/0"})),
    Weakened("NET-05", "out to the load balancer", _let_out_to_the_edge),
    Weakened("NET-05", "ways out not said", change(GROUP, "SecurityGroupEgress", None, named="Serve")),
    Weakened(
        "NET-06", "a third port of the edge", _open("Edge", {"CidrIp": "0.0.0.0/0", "FromPort": 22, "ToPort": 22})
    ),
    Weakened("NET-06", "half of the internet", _open("Edge", {"CidrIp": "0.0.0.0/1", "FromPort": 22, "ToPort": 22})),
    Weakened("NET-06", "endpoints open", _open("Endpoints", {"CidrIpv6": "::/0", "FromPort": 443, "ToPort": 443})),
    Weakened("NET-08", "rejected traffic only", change("AWS::EC2::FlowLog", "TrafficType", "REJECT")),
    Weakened("NET-08", "no flow log", _remove("AWS::EC2::FlowLog")),
    Weakened("NET-08", "kept for a month", change(LOGS, "RetentionInDays", 30, named="FlowLogs")),
    Weakened("NET-10", "the database in two zones", _two_zones),
    Weakened("NET-10", "a service in one zone", _one_zone_service),
    Weakened("NET-10", "a load balancer in one zone", _one_zone_load_balancer),
    Weakened("NET-12", "a peering", _peer),
    Weakened("NET-12", "an endpoint to a tenant", _foreign_endpoint),
    Weakened(
        "NET-12",
        "a role of another account",
        allow({"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::999999999999:role/tenant"}),
    ),
    Weakened("TLS-01", "an old policy", change(LISTENER, "SslPolicy", "ELBSecurityPolicy-2016-08", named="Https")),
    Weakened("TLS-01", "no policy", change(LISTENER, "SslPolicy", None, named="Https")),
    Weakened("TLS-01", "a plain listener", _plain_listener),
    Weakened("TLS-02", "port 80 forwards", _forward_plain),
    Weakened("TLS-02", "a rule of port 80 forwards", _forwarding_rule),
    Weakened("TLS-03", "plain text to the task", change(TARGETS, "Protocol", "HTTP")),
    Weakened("TLS-03", "plain health checks", change(TARGETS, "HealthCheckProtocol", None)),
    Weakened(
        "TLS-04",
        "plain text accepted",
        _parameter("rds.force_ssl", "0"),
    ),
    Weakened("TLS-04", "TLS not forced", _parameter("rds.force_ssl", None)),
    Weakened("TLS-04", "certificate not verified", _ssl_mode("require")),
    Weakened("TLS-04", "mode not said", _ssl_mode(None)),
    Weakened("BCP-01", "a week of backups", change(CLUSTER, "BackupRetentionPeriod", 7)),
    Weakened("BCP-01", "retention not said", change(CLUSTER, "BackupRetentionPeriod", None)),
    Weakened("TLS-08", "broken headers pass", _balancer_attribute("false", _HEADERS)),
    Weakened("TLS-08", "a lax mode", _balancer_attribute("monitor", _DESYNC)),
    Weakened("TLS-08", "mode not said", _balancer_attribute(None, _DESYNC)),
    Weakened("BCP-03", "another cluster", change(SELECTION, "BackupSelection.Resources.0", "arn:x")),
    Weakened("BCP-03", "once a week", change(PLAN, f"{_RULE}.ScheduleExpression", "cron(0 5 ? * SUN *)")),
    Weakened("BCP-03", "kept for a week", change(PLAN, f"{_RULE}.Lifecycle.DeleteAfterDays", 7)),
    Weakened("BCP-04", "no lock", change(VAULT, "LockConfiguration", None)),
    Weakened("BCP-04", "a lock that can be taken off", change(VAULT, "LockConfiguration.ChangeableForDays", None)),
    Weakened("BCP-05", "a second region without a copy", _second_region),
    Weakened("BCP-05", "a copy into the same region", _copies_stay_here),
    Weakened("BCP-07", "one instance", _remove(INSTANCE, "Reader")),
    Weakened("BCP-07", "a reader of last resort", change(INSTANCE, "PromotionTier", 15, named="Reader")),
    Weakened("BCP-07", "both in one zone", _same_zone),
    Weakened("BCP-08", "one task", _one_task_for_good),
    Weakened("BCP-08", "scaled down to one", change(SCALED, "MinCapacity", 1)),
    Weakened("BCP-08", "none at night", change(SCALED, "ScheduledActions", _NIGHT)),
    Weakened("BCP-08", "no rollback", change(SERVICE, f"{_ROLLOUT}.DeploymentCircuitBreaker.Rollback", value=False)),
    Weakened("BCP-08", "half strength", change(SERVICE, f"{_ROLLOUT}.MinimumHealthyPercent", 50)),
    Weakened("BCP-08", "not rebalanced", change(SERVICE, "AvailabilityZoneRebalancing", "DISABLED")),
    Weakened("BCP-09", "database unprotected", change(CLUSTER, "DeletionProtection", None)),
    Weakened("BCP-09", "load balancer unprotected", _balancer_attribute("false")),
    Weakened("BCP-09", "protection not said", _balancer_attribute(None)),
    Weakened("BCP-09", "stack unprotected", _unprotect),
    Weakened("BCP-10", "database deleted with its stack", attribute(CLUSTER, "DeletionPolicy", "Delete")),
    Weakened("BCP-10", "logs deleted when replaced", attribute(LOGS, "UpdateReplacePolicy", None)),
    Weakened("BCP-10", "bucket deleted with its stack", attribute(BUCKET, "DeletionPolicy", None)),
    Weakened("IAM-01", "everything of a service", allow({"Action": "s3:*", "Resource": "arn:aws:s3:::x/*"})),
    Weakened("IAM-01", "every resource", allow({"Action": "s3:GetObject", "Resource": "*"})),
    Weakened("IAM-01", "by exclusion", allow({"NotAction": "iam:*", "Resource": "arn:aws:s3:::x"})),
    Weakened("IAM-01", "AWS's administrator", change(ROLE, "ManagedPolicyArns", ["arn:aws:iam::aws:policy/PowerUser"])),
    Weakened("IAM-03", "another account", _trust({"Principal": {"AWS": OTHER_ACCOUNT}})),
    Weakened("IAM-03", "everybody", _trust({"Principal": "*"})),
    Weakened("IAM-03", "a confused deputy", _forget_source),
    Weakened("IAM-07", "passwords alone", change(CLUSTER, "EnableIAMDatabaseAuthentication", value=False)),
    Weakened("IAM-07", "logins not said", change(CLUSTER, "EnableIAMDatabaseAuthentication", None)),
    Weakened("IAM-08", "a shell", change(SERVICE, "EnableExecuteCommand", value=True)),
    Weakened("IAM-08", "another shell", change(SERVICE, "EnableExecuteCommand", "true", named="Reconcile")),
    Weakened("LOG-02", "every statement", change(PARAMETERS, "Parameters.log_statement", "all")),
    Weakened("LOG-02", "values of slow ones", change(PARAMETERS, "Parameters.log_parameter_max_length", "-1")),
    Weakened("LOG-02", "every duration", change(PARAMETERS, "Parameters.log_min_duration_statement", "0")),
    Weakened("LOG-02", "not said", change(PARAMETERS, "Parameters.log_parameter_max_length_on_error", None)),
    Weakened("WRK-01", "a tag", change(TASK, f"{CONTAINER}.Image", "000000000000.dkr.ecr.us-east-1.amazonaws.com/a:1")),
    Weakened("WRK-01", "another registry", change(TASK, f"{CONTAINER}.Image", "docker.io/a@sha256:" + "0" * 64)),
    Weakened("WRK-02", "root", change(TASK, f"{CONTAINER}.User", "0")),
    Weakened("WRK-02", "a user not said", change(TASK, f"{CONTAINER}.User", None)),
    Weakened("WRK-02", "privileged", change(TASK, f"{CONTAINER}.Privileged", value=True)),
    Weakened(
        "WRK-02", "capabilities", change(TASK, f"{CONTAINER}.LinuxParameters.Capabilities", {"Drop": ["NET_RAW"]})
    ),
    Weakened("WRK-02", "a writable disk", change(TASK, f"{CONTAINER}.ReadonlyRootFilesystem", None)),
    Weakened("WRK-03", "a password", _variable("PGPASSWORD", "correct horse")),
    Weakened("WRK-03", "an access key", _variable("SETTING", "AKIA" + "IOSFODNN7EXAMPLE")),
    Weakened("WRK-03", "a resolved secret", _variable("SETTING", "{{resolve:secretsmanager:x:SecretString:y}}")),
    Weakened("WRK-04", "tags that move", change(REPOSITORY, "ImageTagMutability", "MUTABLE")),
    Weakened("WRK-04", "not scanned", change(REPOSITORY, "ImageScanningConfiguration.ScanOnPush", value=False)),
    Weakened("WRK-04", "the provider's key", change(REPOSITORY, "EncryptionConfiguration", None)),
    Weakened("WRK-04", "kept for ever", change(REPOSITORY, "LifecyclePolicy", None)),
    Weakened("WRK-10", "no firewall", _remove("AWS::WAFv2::WebACLAssociation")),
    Weakened("WRK-10", "attacks counted only", _count_only),
    Weakened("WRK-10", "floods counted only", _count_floods),
]
