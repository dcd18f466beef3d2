"""Network access lists: a second fence around each tier, for the day on which a security group is opened by mistake.

They are stateless, so each also lets replies pass (ports 1024 to 65535). Few rules, on purpose: who may connect to whom
is said by security groups. The resolver of the VPC is not subject to them.

| tier | in | out |
|---|---|---|
| public | 443, 80 and replies from anywhere | 443 and replies to anywhere |
| private | 443 from the VPC; replies from anywhere, and with them the load balancer's requests to 8443 | 443 to anywhere; replies, 8443 and 5432 to the VPC |
| isolated | 5432 from the tasks' subnets | replies to the tasks' subnets |
"""  # noqa: E501 - a table

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from signalbox_constructs.findings import accept

_HTTP, _HTTPS = 80, 443
_POSTGRES = 5432
_REPLIES = (1024, 65535)

_STEP = 100
_IN, _OUT = ec2.TrafficDirection.INGRESS, ec2.TrafficDirection.EGRESS


class _List:
    """An access list that is filled in order."""

    def __init__(self, scope: Construct, name: str, vpc: ec2.Vpc, subnets: ec2.SubnetSelection) -> None:
        self._list = ec2.NetworkAcl(scope, name, vpc=vpc, subnet_selection=subnets)
        self._rules = 0
        accept(
            self._list,
            "AwsSolutions::AwsSolutions-VPC3",
            reason="It is a second fence behind the security groups, of seven kinds of rules that its module lists.",
        )

    def allow(self, direction: ec2.TrafficDirection, *ports: int, to: ec2.AclCidr) -> None:
        self._rules += 1
        self._list.add_entry(
            f"Rule{self._rules}",
            rule_number=_STEP * self._rules,
            direction=direction,
            cidr=to,
            traffic=ec2.AclTraffic.tcp_port_range(ports[0], ports[-1]),
            rule_action=ec2.Action.ALLOW,
        )


def fence(
    scope: Construct,
    vpc: ec2.Vpc,
    *,
    public: ec2.SubnetSelection,
    private: ec2.SubnetSelection,
    isolated: ec2.SubnetSelection,
    tasks: ec2.SubnetSelection,
) -> None:
    """Give each tier of `vpc` its list; the isolated one admits the subnets of `tasks` only."""
    anywhere, inside = ec2.AclCidr.any_ipv4(), ec2.AclCidr.ipv4(vpc.vpc_cidr_block)
    edge = _List(scope, "PublicList", vpc, public)
    edge.allow(_IN, _HTTPS, to=anywhere)
    edge.allow(_IN, _HTTP, to=anywhere)
    edge.allow(_IN, *_REPLIES, to=anywhere)
    edge.allow(_OUT, _HTTPS, to=anywhere)
    edge.allow(_OUT, *_REPLIES, to=anywhere)

    processes = _List(scope, "PrivateList", vpc, private)
    processes.allow(_IN, _HTTPS, to=inside)
    processes.allow(_IN, *_REPLIES, to=anywhere)
    processes.allow(_OUT, _HTTPS, to=anywhere)
    processes.allow(_OUT, *_REPLIES, to=inside)

    data = _List(scope, "IsolatedList", vpc, isolated)
    for subnet in vpc.select_subnets(subnet_group_name=tasks.subnet_group_name).subnets:
        block = ec2.AclCidr.ipv4(subnet.ipv4_cidr_block)
        data.allow(_IN, _POSTGRES, to=block)
        data.allow(_OUT, *_REPLIES, to=block)
