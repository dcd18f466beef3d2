"""Security groups that are closed in both directions until a rule opens them."""

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

_NO_TRAFFIC = {
    "CidrIp": "255.255.255.255/32",
    "Description": "Disallow all traffic",
    "FromPort": 252,
    "IpProtocol": "icmp",
    "ToPort": 86,
}
"""CDK's own rule that matches nothing. EC2 gives a group without an outbound rule one that allows everything."""


class ClosedSecurityGroup(ec2.SecurityGroup):
    """A group that is born without a way out and never has one that is not a rule of this app."""

    def __init__(self, scope: Construct, construct_id: str, *, vpc: ec2.IVpc, description: str) -> None:
        # Rules stand beside the group, never in it: the override below would swallow an inline rule to an address.
        super().__init__(
            scope,
            construct_id,
            vpc=vpc,
            description=description,
            allow_all_outbound=False,
            disable_inline_rules=True,
        )
        group = self.node.default_child
        if not isinstance(group, ec2.CfnSecurityGroup):
            raise TypeError(f"security group {self.node.path}: wanted a CfnSecurityGroup inside, got {group!r}")
        # L2 gap: the first rule towards another group drops the placeholder. The template then says nothing about
        # outbound traffic, and the group is open until CloudFormation has added that rule (aws-cdk pull request 998).
        # Remove when the L2 keeps the placeholder.
        group.add_property_override("SecurityGroupEgress", [_NO_TRAFFIC])
        # with rules beside the group the L2 puts its placeholder there too, and EC2 refuses the same rule twice
        for child in self.node.children:
            if isinstance(child, ec2.CfnSecurityGroupEgress):
                self.node.try_remove_child(child.node.id)
