"""Every API call that this tool may make, and the fields of each answer that it keeps. Anything else cannot be asked.

A check sees the kept fields only, so that each verdict can be reached again from the stored raw answers. Secrets are
not among them: a field marked `!` is replaced by what kind of secret it resembles, before anything else sees it.

Notation: `Name` keeps a value whole; `Name[a b]` keeps a and b of an object or of each item of a list; `Name!` judges
the values of environment variables.
"""

import re
from typing import Any, cast  # API answers are free JSON

from signalbox_evidence.secrets import PUBLIC_VARIABLES, resembles

Shape = dict[str, Any]
JUDGED = "judged"

_GRAMMAR = {
    "application-autoscaling:DescribeScalableTargets": "ScalableTargets[ResourceId ScalableDimension MinCapacity]",
    "backup:GetBackupVaultAccessPolicy": "BackupVaultName BackupVaultArn Policy",
    "application-autoscaling:DescribeScheduledActions": (
        "ScheduledActions[ResourceId ScalableDimension Schedule ScalableTargetAction[MinCapacity]]"
    ),
    "backup:DescribeBackupVault": (
        "BackupVaultName BackupVaultArn EncryptionKeyArn CreationDate Locked MinRetentionDays LockDate"
    ),
    "backup:GetBackupPlan": (
        "BackupPlanId BackupPlanArn BackupPlan[Rules[RuleName ScheduleExpression TargetBackupVaultName"
        " Lifecycle[DeleteAfterDays] CopyActions[DestinationBackupVaultArn]]]"
    ),
    "backup:GetBackupSelection": "BackupPlanId SelectionId BackupSelection[Resources]",
    "backup:ListBackupSelections": "BackupSelectionsList[SelectionId SelectionName]",
    "cloudformation:DescribeStacks": "Stacks[StackName StackId StackStatus EnableTerminationProtection]",
    "cloudformation:GetTemplate": "",  # judged as a template, whose digest is in the report; the answer is not kept
    "cloudformation:ListStackResources": (
        "StackResourceSummaries[LogicalResourceId PhysicalResourceId ResourceType ResourceStatus]"
    ),
    "ec2:DescribeFlowLogs": (
        "FlowLogs[FlowLogId ResourceId TrafficType FlowLogStatus DeliverLogsStatus LogDestinationType LogGroupName]"
    ),
    "ec2:DescribeNetworkInterfaces": (
        "NetworkInterfaces[NetworkInterfaceId InterfaceType Description RequesterManaged Groups[GroupId]]"
    ),
    "ec2:DescribeRouteTables": (
        "RouteTables[RouteTableId VpcId Associations[Main SubnetId]"
        " Routes[DestinationCidrBlock DestinationIpv6CidrBlock DestinationPrefixListId GatewayId NatGatewayId"
        " TransitGatewayId VpcPeeringConnectionId EgressOnlyInternetGatewayId NetworkInterfaceId InstanceId"
        " CarrierGatewayId LocalGatewayId CoreNetworkArn State]]"
    ),
    "ec2:DescribeSecurityGroupRules": (
        "SecurityGroupRules[SecurityGroupRuleId GroupId IsEgress IpProtocol FromPort ToPort CidrIpv4 CidrIpv6"
        " PrefixListId ReferencedGroupInfo[GroupId UserId]]"
    ),
    "ec2:DescribeSecurityGroups": "SecurityGroups[GroupId GroupName VpcId OwnerId]",
    "ec2:DescribeSubnets": "Subnets[SubnetId SubnetArn VpcId AvailabilityZone CidrBlock]",
    "ec2:DescribeTransitGatewayAttachments": "TransitGatewayAttachments[TransitGatewayAttachmentId ResourceId State]",
    "ec2:DescribeVpcEndpoints": "VpcEndpoints[VpcEndpointId VpcId ServiceName State Groups[GroupId]]",
    "ec2:DescribeVpcPeeringConnections": (
        "VpcPeeringConnections[VpcPeeringConnectionId Status[Code] AccepterVpcInfo[VpcId OwnerId]"
        " RequesterVpcInfo[VpcId OwnerId]]"
    ),
    "ec2:DescribeVpcs": "Vpcs[VpcId CidrBlock IsDefault]",
    "ec2:DescribeVpnGateways": "VpnGateways[VpnGatewayId State VpcAttachments[VpcId State]]",
    "ecr:DescribeRepositories": (
        "repositories[repositoryName repositoryArn imageTagMutability imageScanningConfiguration[scanOnPush]"
        " encryptionConfiguration[encryptionType kmsKey]]"
    ),
    "ecr:GetLifecyclePolicy": "repositoryName lifecyclePolicyText",
    "ecs:DescribeServices": (
        "failures[arn reason] services[serviceArn serviceName clusterArn taskDefinition desiredCount runningCount"
        " availabilityZoneRebalancing enableExecuteCommand"
        " deploymentConfiguration[minimumHealthyPercent deploymentCircuitBreaker[enable rollback]]"
        " networkConfiguration[awsvpcConfiguration[subnets securityGroups assignPublicIp]]]"
    ),
    "ecs:DescribeTaskDefinition": (
        "taskDefinition[taskDefinitionArn containerDefinitions[name image user privileged readonlyRootFilesystem"
        " linuxParameters[capabilities[drop]] environment! secrets[name valueFrom]]]"
    ),
    "ecs:ListServices": "serviceArns",
    "elbv2:DescribeListeners": (
        "Listeners[ListenerArn LoadBalancerArn Port Protocol SslPolicy"
        " DefaultActions[Type TargetGroupArn RedirectConfig[Protocol Port StatusCode]]]"
    ),
    "elbv2:DescribeLoadBalancerAttributes": "Attributes[Key Value]",
    "elbv2:DescribeLoadBalancers": (
        "LoadBalancers[LoadBalancerArn LoadBalancerName VpcId Scheme SecurityGroups"
        " AvailabilityZones[ZoneName SubnetId]]"
    ),
    "elbv2:DescribeRules": (
        "Rules[RuleArn IsDefault Actions[Type TargetGroupArn RedirectConfig[Protocol Port StatusCode]]]"
    ),
    "elbv2:DescribeTargetGroups": "TargetGroups[TargetGroupArn VpcId Protocol HealthCheckProtocol Port]",
    "iam:GetPolicy": "Policy[Arn DefaultVersionId]",
    "iam:GetPolicyVersion": "PolicyVersion[VersionId Document]",
    "iam:GetRole": "Role[RoleName Arn AssumeRolePolicyDocument]",
    "iam:GetRolePolicy": "RoleName PolicyName PolicyDocument",
    "iam:ListAttachedRolePolicies": "AttachedPolicies[PolicyName PolicyArn]",
    "iam:ListRolePolicies": "PolicyNames",
    "kms:DescribeKey": "KeyMetadata[KeyId Arn KeyManager KeyState KeySpec KeyUsage]",
    "kms:GetKeyPolicy": "Policy",
    "kms:GetKeyRotationStatus": "KeyRotationEnabled RotationPeriodInDays",
    "logs:DescribeLogGroups": "logGroups[logGroupName arn kmsKeyId retentionInDays]",
    "rds:DescribeDBClusterParameters": "Parameters[ParameterName ParameterValue Source]",
    "rds:DescribeDBClusterSnapshotAttributes": (
        "DBClusterSnapshotAttributesResult[DBClusterSnapshotAttributes[AttributeName AttributeValues]]"
    ),
    "rds:DescribeDBClusterSnapshots": (
        "DBClusterSnapshots[DBClusterSnapshotIdentifier DBClusterSnapshotArn SnapshotType StorageEncrypted KmsKeyId]"
    ),
    "rds:DescribeDBClusters": (
        "DBClusters[DBClusterIdentifier DBClusterArn StorageEncrypted KmsKeyId BackupRetentionPeriod"
        " PreferredBackupWindow DeletionProtection IAMDatabaseAuthenticationEnabled Port DBSubnetGroup"
        " DBClusterParameterGroup ClusterCreateTime EarliestRestorableTime LatestRestorableTime MultiAZ"
        " GlobalWriteForwardingStatus"
        " VpcSecurityGroups[VpcSecurityGroupId Status]"
        " DBClusterMembers[DBInstanceIdentifier IsClusterWriter DBClusterParameterGroupStatus PromotionTier]]"
    ),
    "rds:DescribeDBInstances": (
        "DBInstances[DBInstanceIdentifier DBInstanceArn DBClusterIdentifier PubliclyAccessible PromotionTier"
        " AvailabilityZone]"
    ),
    "rds:DescribeDBSubnetGroups": "DBSubnetGroups[DBSubnetGroupName VpcId Subnets[SubnetIdentifier]]",
    "s3:GetBucketEncryption": (
        "ServerSideEncryptionConfiguration[Rules[ApplyServerSideEncryptionByDefault[SSEAlgorithm KMSMasterKeyID]]]"
    ),
    "s3:GetBucketOwnershipControls": "OwnershipControls[Rules[ObjectOwnership]]",
    "s3:GetBucketPolicy": "Policy",
    "s3:GetBucketTagging": "TagSet[Key Value]",
    "s3:GetBucketVersioning": "Status",
    "s3:GetObjectLockConfiguration": "ObjectLockConfiguration[ObjectLockEnabled Rule[DefaultRetention[Mode Days]]]",
    "s3:GetPublicAccessBlock": (
        "PublicAccessBlockConfiguration[BlockPublicAcls BlockPublicPolicy IgnorePublicAcls RestrictPublicBuckets]"
    ),
    "sts:GetCallerIdentity": "Account Arn UserId",
    "wafv2:GetWebACLForResource": (
        "WebACL[Name ARN Rules[Name Action OverrideAction Statement[ManagedRuleGroupStatement[VendorName Name]"
        " RateBasedStatement[Limit]]]]"
    ),
}

_TOKEN = re.compile(r"([A-Za-z0-9]+!?)|(\[)|(\])")


def _parse(grammar: str) -> Shape:
    root: Shape = {}
    stack, last = [root], ""
    for name, opens, closes in _TOKEN.findall(grammar):
        if opens:
            stack[-1][last] = {}
            stack.append(stack[-1][last])
        elif closes:
            stack.pop()
        else:
            last = name.rstrip("!")
            stack[-1][last] = JUDGED if name.endswith("!") else None
    return root


READS: dict[str, Shape] = {operation: _parse(grammar) for operation, grammar in _GRAMMAR.items()}


def _judge(variables: list[dict[str, str]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for variable in variables:
        name, value = variable.get("name", ""), variable.get("value", "")
        shown = value if name in PUBLIC_VARIABLES else None
        found.append({"name": name, "resembles": resembles(name, value), "value": shown})
    return found


def keep(shape: Any, value: Any) -> Any:
    """The part of `value` that `shape` allows."""
    if shape is None:
        return value
    if shape == JUDGED:
        return _judge(value)
    if isinstance(value, list):
        return [keep(shape, item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        return {name: keep(inner, table[name]) for name, inner in shape.items() if name in table}
    return value
