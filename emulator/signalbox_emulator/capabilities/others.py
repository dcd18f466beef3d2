"""What is other than in AWS in one piece: whole types that moto lacks, what it invents, and what we patched."""

from signalbox_emulator.capabilities.entry import Capability

_NOTHING = "moto has no such API: only the stack holds it, and its service fails to read it, or answers none"

ABSENT = (
    Capability(
        service="accessanalyzer",
        attribute="Analyzer",
        kind="absent",
        property="AWS::AccessAnalyzer::Analyzer",
        reason=_NOTHING,
    ),
    Capability(
        service="backup",
        attribute="BackupSelection",
        kind="absent",
        property="AWS::Backup::BackupSelection",
        reason=_NOTHING,
    ),
    Capability(
        service="cloudwatch",
        attribute="CompositeAlarm",
        kind="absent",
        property="AWS::CloudWatch::CompositeAlarm",
        reason=_NOTHING,
    ),
    Capability(
        service="logs",
        attribute="QueryDefinition",
        kind="absent",
        property="AWS::Logs::QueryDefinition",
        reason=_NOTHING,
    ),
    Capability(
        service="route53resolver",
        attribute="FirewallDomainList",
        kind="absent",
        property="AWS::Route53Resolver::FirewallDomainList",
        reason=_NOTHING,
    ),
    Capability(
        service="route53resolver",
        attribute="FirewallRuleGroup",
        kind="absent",
        property="AWS::Route53Resolver::FirewallRuleGroup",
        reason=_NOTHING,
    ),
    Capability(
        service="route53resolver",
        attribute="FirewallRuleGroupAssociation",
        kind="absent",
        property="AWS::Route53Resolver::FirewallRuleGroupAssociation",
        reason=_NOTHING,
    ),
    Capability(
        service="securityhub",
        attribute="StandardsSubscription",
        kind="absent",
        property="AWS::SecurityHub::Standard",
        reason=_NOTHING,
    ),
)

INVENTED = (
    Capability(
        service="kms",
        attribute="Key.MultiRegionConfiguration.MultiRegionKeyType",
        kind="invented",
        reason="a primary key and its replicas share one configuration in moto: once a replica is read, all are",
    ),
    Capability(
        service="rds",
        attribute="DBCluster.LatestRestorableTime",
        kind="invented",
        reason="moto answers the time of the question; it makes no backups",
    ),
    Capability(
        service="ecs",
        attribute="Service.runningCount",
        kind="invented",
        reason="no task runs, and moto starts none for a service",
    ),
    Capability(
        service="acm",
        attribute="Certificate.Status",
        kind="invented",
        reason="moto issues a certificate after a minute, whether or not its domain was validated",
    ),
    Capability(
        service="application-autoscaling",
        attribute="ScalingPolicy.PolicyARN",
        kind="invented",
        reason="moto gives a policy a new ARN whenever it is changed",
    ),
    Capability(
        service="codebuild",
        attribute="Project.source.location",
        kind="invented",
        reason="moto wants a location of a project that has no source, so it is none there",
    ),
    Capability(
        service="cognito-idp",
        attribute="ResourceServer",
        kind="invented",
        reason="moto cannot delete a resource server: it stays until its pool is deleted",
    ),
    Capability(
        service="route53resolver",
        attribute="ResolverQueryLogConfig",
        kind="invented",
        reason="moto can neither delete a query log nor end its association: they stay after their stack",
    ),
    Capability(
        service="synthetics",
        attribute="Canary",
        kind="invented",
        reason="moto cannot delete a canary: it stays after its stack",
    ),
)

PATCHED = (
    Capability(
        service="backup",
        attribute="BackupVault.AccessPolicy",
        kind="patched",
        property="AWS::Backup::BackupVault.AccessPolicy",
        reason="moto has no call for the access policy of a vault; ours keeps it and answers it",
    ),
    Capability(
        service="rds",
        attribute="DBCluster.DBClusterParameterGroupStatus",
        kind="patched",
        reason="moto says in-sync of every member; here one that has not restarted with its group says pending-reboot",
    ),
    Capability(
        service="cognito-idp",
        attribute="UserPool.Id",
        kind="patched",
        reason="moto's ids are so long that an issuer looks like a secret; here they are as long as in AWS",
    ),
    Capability(
        service="s3",
        attribute="Bucket.LoggingEnabled",
        kind="patched",
        reason="moto wants the policy of the bucket that gets the logs first; as in S3, it may come later",
    ),
    Capability(
        service="s3",
        attribute="BucketPolicy.Condition",
        kind="patched",
        reason="moto lets a denial with a condition deny everything; here such statements are kept and do nothing",
    ),
    Capability(
        service="elbv2",
        attribute="LoadBalancerAttribute.health_check_logs",
        kind="patched",
        reason="moto knows whether health check logs are on, and refuses their bucket and prefix; here it keeps them",
    ),
)
