"""The synthetic canary: somebody outside who asks, every few minutes, whether the control plane answers over TLS."""

import json
from dataclasses import dataclass
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_synthetics as synthetics
from constructs import Construct

from signalbox_constructs import principals
from signalbox_constructs.findings import accept, accept_of_frameworks, objects_of

RUNTIME = "syn-nodejs-puppeteer-13.0"
"""CloudWatch Synthetics deprecates runtimes about a year after they appear: its "Runtime versions support policy"."""

_KEPT_DAYS = 31

_SCRIPT = """\
const https = require('https');
const DOMAIN = %(domain)s;
const LEAST_DAYS = %(days)d;

const ask = () => new Promise((resolve, reject) => {
  const options = { host: DOMAIN, path: '/healthz', minVersion: 'TLSv1.2', agent: false, timeout: 10000 };
  const request = https.get(options, (answer) => {
    const certificate = answer.socket.getPeerCertificate();
    answer.resume();
    answer.on('end', () => resolve({ status: answer.statusCode, ends: certificate.valid_to }));
  });
  request.on('timeout', () => request.destroy(new Error('no answer within 10 s')));
  request.on('error', reject);
});

exports.handler = async () => {
  const { status, ends } = await ask();
  if (status !== 200) throw new Error(`GET https://${DOMAIN}/healthz: wanted 200, got ${status}`);
  const days = (new Date(ends) - Date.now()) / 86400000;
  if (!(days > LEAST_DAYS)) throw new Error(`certificate of ${DOMAIN}: wanted ${LEAST_DAYS} days or more, got ${days}`);
  return `200, certificate until ${ends}`;
};
"""


def script(domain_name: str, *, least_certificate_days: int) -> str:
    """Return what the canary runs."""
    return _SCRIPT % {"domain": json.dumps(domain_name), "days": least_certificate_days}


@dataclass(frozen=True, kw_only=True)
class CanaryProps:
    name: str
    """1 to 255 lower-case letters, digits, hyphens: CloudWatch's name of it."""
    domain_name: str
    minutes: int
    key: kms.IKey
    log_bucket: s3.IBucket | None = None
    least_certificate_days: int = 14


class Canary(Construct):
    """GET https://DOMAIN/healthz with a verified certificate, TLS 1.2 or newer.

    Exposes `canary`, `artifacts` and `role`. CloudWatch runs it as a Lambda function of its own, outside of the VPC: it
    takes the way that users take.
    """

    def __init__(self, scope: Construct, construct_id: str, props: CanaryProps) -> None:
        super().__init__(scope, construct_id)
        self.artifacts = self._bucket(props)
        self.role = self._role(props)
        self.canary = synthetics.CfnCanary(
            self,
            "Canary",
            name=props.name,
            runtime_version=RUNTIME,
            code=synthetics.CfnCanary.CodeProperty(
                handler="index.handler",
                script=script(props.domain_name, least_certificate_days=props.least_certificate_days),
            ),
            artifact_s3_location=f"s3://{self.artifacts.bucket_name}",
            artifact_config=synthetics.CfnCanary.ArtifactConfigProperty(
                s3_encryption=synthetics.CfnCanary.S3EncryptionProperty(
                    encryption_mode="SSE_KMS", kms_key_arn=props.key.key_arn
                )
            ),
            execution_role_arn=self.role.role_arn,
            schedule=synthetics.CfnCanary.ScheduleProperty(
                expression=f"rate({props.minutes} minute{'' if props.minutes == 1 else 's'})"
            ),
            run_config=synthetics.CfnCanary.RunConfigProperty(timeout_in_seconds=30),
            start_canary_after_creation=True,
            success_retention_period=_KEPT_DAYS,
            failure_retention_period=_KEPT_DAYS,
        )
        self.canary.node.add_dependency(self.role)

    def _bucket(self, props: CanaryProps) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Artifacts",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=props.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            server_access_logs_bucket=props.log_bucket,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=cdk.Duration.days(_KEPT_DAYS),
                    noncurrent_version_expiration=cdk.Duration.days(1),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        cdk.Tags.of(bucket).add("data-class", "artifacts")
        reason = "It holds what a probe of a public address saw in the last month: nothing that would be missed."
        accept_of_frameworks(bucket, "S3BucketReplicationEnabled", reason=reason)
        if props.log_bucket is None:
            accept(bucket, "AwsSolutions::AwsSolutions-S1", reason=reason)
            accept_of_frameworks(bucket, "S3BucketLoggingEnabled", reason=reason)
        return bucket

    def _role(self, props: CanaryProps) -> iam.Role:
        """Return what the canary runs as. Lambda takes roles without naming a source, so its trust can name none."""
        stack = cdk.Stack.of(self)
        role = iam.Role(self, "Role", assumed_by=principals.service("lambda.amazonaws.com"))
        objects = self.artifacts.arn_for_objects("*")
        logs = f"arn:aws:logs:{stack.region}:{stack.account}:log-group:/aws/lambda/cwsyn-{props.name}-*"
        statements = (
            iam.PolicyStatement(actions=["s3:PutObject"], resources=[objects]),
            iam.PolicyStatement(actions=["s3:GetBucketLocation"], resources=[self.artifacts.bucket_arn]),
            iam.PolicyStatement(
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=[props.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"s3.{stack.region}.amazonaws.com"}},
            ),
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], resources=[logs]
            ),
            iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": "CloudWatchSynthetics"}},
            ),
            iam.PolicyStatement(actions=["s3:ListAllMyBuckets"], resources=["*"]),
        )
        policy = iam.ManagedPolicy(self, "Policy", statements=list(statements), roles=[cast("iam.IRole", role)])
        accept(
            policy,
            "AwsSolutions::AwsSolutions-IAM5[Resource::*]",
            reason="cloudwatch:PutMetricData (held to one namespace) and s3:ListAllMyBuckets know no resource.",
        )
        accept(
            policy,
            objects_of(self.artifacts),
            reason="CloudWatch chooses the names of the artifacts of each run, in a bucket that holds nothing else.",
        )
        accept(
            policy,
            f"AwsSolutions::AwsSolutions-IAM5[Resource::arn:aws:logs:{stack.region}:{stack.account}:log-group:"
            f"/aws/lambda/cwsyn-{props.name}-*]",
            reason="CloudWatch ends the names of the log groups of a canary with an id of its own.",
        )
        return role
