"""What a deployment may choose: names, places, sizes, and what it brings along. All of it is frozen and typed.

Each field's description reads on from "wanted"; it is the text of the field's error and of the JSON Schema. Rules that
tie several fields together are in `ties.py`.
"""

import ipaddress
import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from signalbox_evidence.exceptions import Exemption

EngineVersion = Literal["16.8", "16.9", "16.10", "16.11", "16.13", "17.4", "17.5", "17.6", "17.7", "17.9"]
Profile = Literal["dev", "standard", "ha-dr"]

PRIVATE_NETWORKS = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_VPC_PREFIXES = range(16, 20 + 1)
"""A VPC is no larger than /16; below /20 the nine subnets become too small for a hundred tasks each."""

_REGION = r"^(af|ap|ca|eu|il|me|mx|sa|us)-(central|east|north|northeast|northwest|south|southeast|southwest|west)-\d$"
"""Regions of the standard partition: the ARNs of the others begin differently."""


def _words(value: object) -> object:
    """Split text by commas: how -c and the environment say a list."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", min_length=2, max_length=20)]
Account = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
Region = Annotated[str, StringConstraints(pattern=_REGION)]
Zones = Annotated[tuple[str, str, str], BeforeValidator(_words)]
SubnetIds = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...],
    BeforeValidator(_words),
    Field(min_length=2, max_length=6),
]
RouteTableIds = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^rtb-[0-9a-f]{8,17}$")], ...], BeforeValidator(_words)
]
KeyArn = Annotated[str, StringConstraints(pattern=r"^arn:aws:kms:[a-z0-9-]+:\d{12}:key/[0-9a-zA-Z-]+$")]
PrefixListId = Annotated[str, StringConstraints(pattern=r"^pl-[0-9a-f]{8,17}$")]
Schedule = Annotated[str, StringConstraints(pattern=r"^(cron\(.+\)|rate\(\d+ (minute|hour|day)s?\))$")]

_KEY = "the ARN of a symmetric KMS key of the region, or nothing to have one made"


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Keys(Section):
    """Customer-managed keys to bring along; one that is not given is made."""

    data_arn: KeyArn | None = Field(default=None, description=_KEY)
    operations_arn: KeyArn | None = Field(default=None, description=_KEY)
    evidence_arn: KeyArn | None = Field(default=None, description=_KEY)


class ExistingVpc(Section):
    """A VPC to bring along. Its subnets are listed in the order of `availability_zones`."""

    vpc_id: Annotated[str, StringConstraints(pattern=r"^vpc-[0-9a-f]{8,17}$")] = Field(
        description="the id of a VPC of the region, such as vpc-0123456789abcdef0"
    )
    public_subnet_ids: SubnetIds = Field(description="one subnet id for each availability zone, routed to the internet")
    private_subnet_ids: SubnetIds = Field(description="one subnet id for each availability zone, for the tasks")
    isolated_subnet_ids: SubnetIds = Field(
        description="one subnet id for each availability zone, for the database, without a route out"
    )
    private_route_table_ids: RouteTableIds = Field(
        default=(),
        description="one route table id for each private subnet, for a gateway endpoint of S3; or an empty list, "
        "where there is one",
    )
    endpoint_security_group_id: Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]{8,17}$")] | None = Field(
        default=None,
        description="the id of the security group of interface endpoints that stand there already, or nothing",
    )


class Network(Section):
    cidr: str = Field(description="a private IPv4 network of /16 to /20, such as 10.40.0.0/16; with vpc, its own")
    nat_gateways: Annotated[int, Field(ge=0, le=3)] = Field(description="0 to 3")
    endpoint_zones: Annotated[int, Field(ge=0, le=3)] = Field(
        description="0 to 3: zones in which the interface endpoints stand"
    )
    tasks: Literal["private", "public"] = Field(
        description="private, or public: tasks with public addresses, which takes exceptions"
    )
    s3_prefix_list_id: PrefixListId = Field(
        description="the id of the region's managed prefix list com.amazonaws.REGION.s3, such as pl-63a5400a"
    )
    vpc: ExistingVpc | None = Field(default=None, description="an existing VPC, or nothing to have one made")

    @field_validator("cidr")
    @classmethod
    def _is_a_private_network(cls, cidr: str) -> str:
        network = ipaddress.IPv4Network(cidr)  # its errors are ValueErrors: host bits, bad digits
        _require(any(network.subnet_of(private) for private in PRIVATE_NETWORKS) and network.prefixlen in _VPC_PREFIXES)
        return cidr


class Database(Section):
    engine_version: EngineVersion = Field(description="a supported Aurora PostgreSQL version in quotes, such as '17.7'")
    capacity: Literal["serverless", "provisioned"] = Field(description="serverless (v2) or provisioned")
    min_capacity: Annotated[float, Field(ge=0, le=256, multiple_of=0.5)] = Field(
        description="0 to 256 Aurora capacity units in steps of 0.5; 0 pauses when nobody is connected"
    )
    max_capacity: Annotated[float, Field(ge=1, le=256, multiple_of=0.5)] = Field(
        description="1 to 256 Aurora capacity units in steps of 0.5, not below database.min_capacity"
    )
    instance_class: Annotated[str, StringConstraints(pattern=r"^(t4g|r6g|r7g|r8g)\.(medium|\d*x?large)$")] = Field(
        description="a Graviton instance class of Aurora for provisioned capacity, such as r8g.large"
    )
    readers: Annotated[int, Field(ge=0, le=2)] = Field(
        description="0 to 2 readers, each in a zone of its own; 0 takes an exception"
    )
    backup_days: Annotated[int, Field(ge=1, le=35)] = Field(
        description="1 to 35 days of point-in-time recovery; below 35 takes an exception"
    )


class Backup(Section):
    """The second backup, which the database's administrators cannot delete."""

    retention_days: Annotated[int, Field(ge=7, le=2555)] = Field(description="7 to 2555 days in the locked vault")
    lock_grace_days: Annotated[int, Field(ge=3, le=365)] = Field(
        description="3 to 365 days until the vault's lock can no longer be taken off, by anybody"
    )


class Oidc(Section):
    """An issuer to bring along."""

    issuer: Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(/\S*)?$")] = Field(
        description="the HTTPS URL of an OpenID Connect issuer"
    )
    client_id: Text = Field(description="the id of the client that was registered for Signalbox there")
    client_secret_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$")] | None
    ) = Field(default=None, description="the ARN of the secret that holds the client's secret, or nothing")


class Identity(Section):
    oidc: Oidc | None = Field(default=None, description="an OpenID Connect issuer, or nothing to have a Cognito pool")


class Image(Section):
    repository: str | None = Field(
        default=None,
        description="an ECR repository of the region, without a tag: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME; "
        "or nothing for the one that this deployment makes",
    )
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] = Field(
        description="'sha256:' and 64 lower-case hexadecimal digits; tags move, so they are not accepted"
    )


class WorkingHours(Section):
    """When the tasks run, for installations that may sleep. Outside of it there are none, and the database pauses."""

    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]+(/[A-Za-z_+\-0-9]+)*$")] = Field(
        description="an IANA time zone, such as Europe/Berlin"
    )
    days: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}-[A-Z]{3}$")] = Field(
        description="a span of days, such as MON-FRI"
    )
    start: Annotated[int, Field(ge=0, le=23)] = Field(description="an hour, 0 to 23")
    stop: Annotated[int, Field(ge=0, le=23)] = Field(description="an hour, 0 to 23, after service.working_hours.start")


class Tasks(Section):
    """Copies of a process. Autoscaling keeps their number between the two."""

    least: Annotated[int, Field(ge=1, le=100)] = Field(description="1 to 100; 1 takes an exception")
    most: Annotated[int, Field(ge=1, le=100)] = Field(description="1 to 100, not below the least")


class Service(Section):
    cpu: Literal[256, 512, 1024, 2048, 4096] = Field(description="256, 512, 1024, 2048 or 4096 CPU units")
    memory: int = Field(description="MiB that Fargate offers beside service.cpu")
    serve: Tasks = Field(description="the least and the most tasks of the gateway")
    reconcile: Tasks = Field(description="the least and the most tasks of the reconciler")
    working_hours: WorkingHours | None = Field(
        default=None, description="when tasks run, or nothing for always; takes an exception"
    )

    @field_validator("cpu", mode="before")
    @classmethod
    def _text_is_a_number(cls, cpu: object) -> object:
        return int(cpu) if isinstance(cpu, str) and cpu.isdigit() else cpu


class Edge(Section):
    domain_name: Annotated[
        str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)
    ] = Field(description="the DNS name of the control plane, in lower case")
    hosted_zone_id: Annotated[str, StringConstraints(pattern=r"^Z[A-Z0-9]{3,31}$")] | None = Field(
        default=None, description="the id of a public Route 53 zone, such as Z0123456789ABCDEFGHIJ, or nothing"
    )
    certificate_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/.+$")] | None
    ) = Field(default=None, description="the ARN of an ACM certificate in the region, or nothing")
    zones: Annotated[int, Field(ge=2, le=3)] = Field(description="2 or 3 zones in which the load balancer stands")
    firewall: bool = Field(description="true for a web application firewall; false takes an exception")
    requests_per_address: Annotated[int, Field(ge=100, le=2_000_000_000)] = Field(
        description="100 or more requests that one address may send in five minutes"
    )


class Observability(Section):
    alarm_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = Field(
        default=None, description="the address to which alarms are sent, or nothing for subscriptions of your own"
    )
    owner: Text = Field(description="the team or person that acts on alarms")
    runbooks: Annotated[str, StringConstraints(pattern=r"^https://\S+[^/]$")] = Field(
        description="the HTTPS URL under which the runbooks are read, without a slash at its end"
    )
    alarms: Literal["essential", "all"] = Field(
        description="essential: the ten that cost nothing, or all; incidents are told of in any case"
    )
    canary_minutes: Annotated[int, Field(ge=0, le=60)] = Field(
        description="0 to 60: minutes between two runs of the synthetic canary; 0 for none"
    )
    dashboard: bool = Field(description="true or false: a CloudWatch dashboard")
    trail: bool = Field(description="true for a CloudTrail trail; false where the organisation has one")
    guardduty: bool = Field(description="true for a GuardDuty detector; false where the organisation has one")
    config: bool = Field(description="true for an AWS Config recorder; false where the organisation has one")
    security_hub: bool = Field(description="true for Security Hub; false where the organisation has it")


class Evidence(Section):
    lock_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        description="1 to 3650 days that evidence and audit records cannot be deleted; below 400 takes an exception"
    )
    schedule: Schedule = Field(description="when evidence is collected: cron(...) or rate(...), such as rate(1 hour)")


class Recovery(Section):
    """The second region."""

    region: Region = Field(description="an AWS region of the standard partition, not the first one")
    availability_zones: Zones = Field(
        description="a list of three different zones of the second region (with -c: separated by commas)"
    )
    cidr: str = Field(description="a private IPv4 network of /16 to /20 that does not overlap network.cidr")
    s3_prefix_list_id: PrefixListId = Field(description="the id of the second region's prefix list of S3")
    global_database: bool = Field(
        description="true or false: replicate the database to the second region; not one that pauses, nor one of "
        "burstable instances"
    )
    pilot_light: bool = Field(
        description="true or false: keep a network ready in the second region, to restore the database into"
    )


class Patching(Section):
    rebuild_schedule: Schedule = Field(description="when the image is due to be built anew: cron(...) or rate(...)")
    source: Annotated[str, StringConstraints(pattern=r"^https://\S+\.git$")] | None = Field(
        default=None, description="the HTTPS URL of the Git repository to build from, or nothing to be reminded only"
    )
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z._/-]*$", max_length=200)] = Field(
        default="main", description="the branch or tag of patching.source to build, such as main or v1.2.0"
    )


class Settings(Section):
    """One deployment. Build it with `read_settings`, which merges its sources and words its errors."""

    profile: Profile = Field(description="dev, standard or ha-dr")
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", min_length=2, max_length=20)] = (
        Field(description="2 to 20 lower-case letters, digits and single hyphens, letter first: prefix of the stacks")
    )
    account: Account = Field(description="an AWS account: 12 digits in quotes")
    region: Region = Field(description="an AWS region of the standard partition, such as us-east-1")
    availability_zones: Zones = Field(
        description="a list of three different zones of the region (with -c: separated by commas)"
    )
    permission_boundary_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws:iam::(\d{12}|aws):policy/.+$")] | None
    ) = Field(default=None, description="the ARN of a managed policy that bounds every role, or nothing")
    keys: Keys = Field(default=Keys(), description="keys to bring along")
    network: Network
    database: Database
    backup: Backup
    identity: Identity = Field(default=Identity(), description="who may log in")
    image: Image
    service: Service
    edge: Edge
    observability: Observability
    evidence: Evidence
    recovery: Recovery | None = Field(default=None, description="a second region, or nothing")
    patching: Patching
    exceptions: tuple[Exemption, ...] = Field(default=(), description="a list of exceptions")

    @cached_property
    def image_repository(self) -> str:
        """The repository's URI, without a tag."""
        return self.image.repository or f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{self.name}"

    @cached_property
    def image_repository_arn(self) -> str:
        account, _, _, region, _ = self.image_repository.split(".", 4)
        return f"arn:aws:ecr:{region}:{account}:repository/{self.image_repository.split('/', 1)[1]}"


ECR = re.compile(r"^\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/[a-z0-9]+([._/-][a-z0-9]+)*$")

FARGATE_MEMORY = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
}
"""MiB that Fargate offers for each CPU size (1024 units are one vCPU), from the ECS task size table."""


def _require(condition: bool) -> None:
    """Fail the validator; the field's description says what was wanted."""
    if not condition:
        raise ValueError
