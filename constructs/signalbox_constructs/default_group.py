"""The security group that EC2 gives every VPC, kept empty: what is started without a group of its own can reach nobody.

CloudFormation cannot take the two rules away that EC2 puts in, so a schedule does, and does it again if they come back.
"""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from signalbox_constructs import principals

EVERY = "rate(15 minutes)"

_FROM_ITSELF = "Ingress"
_TO_EVERYBODY = "Egress"


class EmptyDefaultGroup(Construct):
    """Two schedules that revoke the rules with which the default group of `vpc` is born, and nothing else.

    Once they are gone, EC2 answers InvalidPermission.NotFound, which is not tried again. Exposes `role`, which may
    revoke rules of this one group.
    """

    def __init__(self, scope: Construct, construct_id: str, *, vpc: ec2.Vpc) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        group = vpc.vpc_default_security_group
        self.role = principals.service_role(self, "Role", assumed_by="scheduler.amazonaws.com", source="scheduler")
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"],
                resources=[f"arn:aws:ec2:{stack.region}:{stack.account}:security-group/{group}"],
            )
        )
        self._revoke(_FROM_ITSELF, group, {"UserIdGroupPairs": [{"GroupId": group}]})
        self._revoke(_TO_EVERYBODY, group, {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]})

    def _revoke(self, direction: str, group: str, peer: dict[str, object]) -> None:
        scheduler.CfnSchedule(
            self,
            direction,
            description=f"Keep the default security group of the VPC empty: {direction.lower()}",
            schedule_expression=EVERY,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=f"arn:aws:scheduler:::aws-sdk:ec2:revokeSecurityGroup{direction}",
                role_arn=self.role.role_arn,
                input=cdk.Stack.of(self).to_json_string(
                    {"GroupId": group, "IpPermissions": [{"IpProtocol": "-1", **peer}]}
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=0, maximum_event_age_in_seconds=60
                ),
            ),
        )
