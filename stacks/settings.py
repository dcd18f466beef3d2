"""The deployment's settings: the only place where two installations may differ.

They choose names, places and sizes. No setting weakens a control, so there is none for encryption, backup or TLS.

A value comes from the YAML file (`-c config=FILE`, else SIGNALBOX_DEPLOY_CONFIG, else config/local.yaml) unless
`-c key=value` overrides it. Each value remembers where it came from, and an error says so.
"""

import ipaddress
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

DEFAULT_FILE = "config/local.yaml"
FILE_VARIABLE = "SIGNALBOX_DEPLOY_CONFIG"

EngineVersion = Literal["16.8", "16.9", "16.10", "16.11", "16.13", "17.4", "17.5", "17.6", "17.7", "17.9"]

_ECR = re.compile(r"^\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/[a-z0-9]+([._/-][a-z0-9]+)*$")

_FARGATE_MEMORY = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
}
"""MiB that Fargate offers for each CPU size (1024 units are one vCPU), from the ECS task size table."""


_PRIVATE = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_VPC_PREFIXES = range(16, 20 + 1)
"""A VPC is no larger than /16; below /20 the nine subnets become too small for a hundred tasks each."""


class SettingsError(Exception):
    """One line for each wrong setting: where it came from, its name, what was wanted, what it got."""


class Settings(BaseModel):
    """Each description reads on from "wanted"; it is the text of the field's error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=30)] = Field(
        description="1 to 30 lower-case letters, digits and single hyphens, letter first: prefix of the stacks"
    )
    account: Annotated[str, StringConstraints(pattern=r"^\d{12}$")] = Field(
        description="an AWS account: 12 digits in quotes"
    )
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = Field(
        description="an AWS region of the standard partition, such as us-east-1"
    )
    availability_zones: tuple[str, str, str] = Field(
        description="a list of three different zones of the region (with -c: separated by commas)"
    )
    vpc_cidr: str = Field(description="a private IPv4 network of /16 to /20, such as 10.40.0.0/16")
    nat_gateways: Annotated[int, Field(ge=1, le=3)] = Field(description="1 to 3")
    s3_prefix_list_id: Annotated[str, StringConstraints(pattern=r"^pl-[0-9a-f]{8,17}$")] = Field(
        description="the id of the region's managed prefix list com.amazonaws.REGION.s3, such as pl-63a5400a"
    )

    domain_name: Annotated[
        str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)
    ] = Field(description="the DNS name of the control plane, in lower case")
    hosted_zone_id: Annotated[str, StringConstraints(pattern=r"^Z[A-Z0-9]{3,31}$")] | None = Field(
        default=None, description="the id of a public Route 53 zone, such as Z0123456789ABCDEFGHIJ, or nothing"
    )
    certificate_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:aws:acm:[a-z0-9-]+:\d{12}:certificate/.+$")] | None
    ) = Field(default=None, description="the ARN of an ACM certificate in the region, or nothing")

    image_repository: str = Field(
        description="an ECR repository of the region, without a tag: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME"
    )
    image_digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] = Field(
        description="'sha256:' and 64 lower-case hexadecimal digits; tags move, so they are not accepted"
    )

    database_engine_version: EngineVersion = Field(
        description=f"an Aurora PostgreSQL version in quotes, one of {', '.join(get_args(EngineVersion))}"
    )
    database_min_capacity: Annotated[float, Field(ge=0.5, le=256, multiple_of=0.5)] = Field(
        description="0.5 to 256 Aurora capacity units in steps of 0.5"
    )
    database_max_capacity: Annotated[float, Field(ge=1, le=256, multiple_of=0.5)] = Field(
        description="1 to 256 Aurora capacity units in steps of 0.5, not below database_min_capacity"
    )

    task_cpu: int = Field(description="256, 512, 1024, 2048 or 4096 CPU units")
    task_memory: int = Field(description="MiB that Fargate offers beside task_cpu")
    serve_tasks: Annotated[int, Field(ge=2, le=100)] = Field(description="2 to 100 tasks, so that one may fail")
    reconcile_tasks: Annotated[int, Field(ge=2, le=20)] = Field(description="2 to 20 tasks, so that one may fail")

    @property
    def image_repository_arn(self) -> str:
        account, _, _, region, _ = self.image_repository.split(".", 4)
        return f"arn:aws:ecr:{region}:{account}:repository/{self.image_repository.split('/', 1)[1]}"

    @field_validator("region")
    @classmethod
    def _is_of_the_standard_partition(cls, region: str) -> str:
        _require(not region.startswith(("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")))  # their ARNs begin differently
        return region

    @field_validator("availability_zones", mode="before")
    @classmethod
    def _split(cls, zones: object) -> object:
        return zones.split(",") if isinstance(zones, str) else zones

    @field_validator("availability_zones")
    @classmethod
    def _zones_differ_and_lie_in_the_region(
        cls, zones: tuple[str, str, str], info: ValidationInfo
    ) -> tuple[str, str, str]:
        region = info.data.get("region", ".*")  # a wrong region has an error of its own
        _require(len(set(zones)) == len(zones) and all(re.fullmatch(rf"{region}[a-z]", zone) for zone in zones))
        return zones

    @field_validator("vpc_cidr")
    @classmethod
    def _is_a_private_network(cls, cidr: str) -> str:
        network = ipaddress.IPv4Network(cidr)  # its errors are ValueErrors: host bits, bad digits
        _require(any(network.subnet_of(private) for private in _PRIVATE) and network.prefixlen in _VPC_PREFIXES)
        return cidr

    @field_validator("certificate_arn")
    @classmethod
    def _certificate_lies_in_the_region(cls, arn: str | None, info: ValidationInfo) -> str | None:
        region = arn.split(":")[3] if arn else None
        _require(arn is None or region == info.data.get("region", region))
        return arn

    @field_validator("image_repository")
    @classmethod
    def _is_an_ecr_repository_of_the_region(cls, uri: str, info: ValidationInfo) -> str:
        match = _ECR.match(uri)
        _require(match is not None and match[1] == info.data.get("region", match[1]))
        return uri

    @field_validator("database_max_capacity")
    @classmethod
    def _holds_the_minimum(cls, capacity: float, info: ValidationInfo) -> float:
        _require(capacity >= info.data.get("database_min_capacity", 0))
        return capacity

    @field_validator("task_cpu")
    @classmethod
    def _is_a_fargate_size(cls, cpu: int) -> int:
        _require(cpu in _FARGATE_MEMORY)
        return cpu

    @field_validator("task_memory")
    @classmethod
    def _fits_the_cpu(cls, memory: int, info: ValidationInfo) -> int:
        _require("task_cpu" not in info.data or memory in _FARGATE_MEMORY[info.data["task_cpu"]])
        return memory


def read_settings(context: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Read the settings of one deployment from its file and from `context`, what CDK got by -c and from cdk.json.

    Raises SettingsError, which names every wrong setting at once.
    """
    path = Path(str(context.get("config") or environment.get(FILE_VARIABLE) or DEFAULT_FILE))
    values = _read_file(path)
    # Keys with a colon or an at sign are CDK's own: feature flags, look-ups, CLI options.
    overrides = {key: value for key, value in context.items() if key != "config" and not re.search("[:@]", key)}
    origins = dict.fromkeys(values, str(path)) | dict.fromkeys(overrides, "-c")
    values |= overrides
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = dict.fromkeys(str(issue["loc"][0]) for issue in error.errors())  # a list may be wrong in several places
        lines = [f"{origins.get(key, str(path))}: {_problem(key, values)}" for key in wrong]
        raise SettingsError("\n".join(lines)) from error


def _read_file(path: Path) -> dict[str, object]:
    try:
        content = cast("object", yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{path}: wanted a YAML file of settings, got: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: wanted a YAML file of settings, got: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: wanted a mapping of settings to values, got {type(content).__name__}")
    return {str(key): value for key, value in cast("dict[object, object]", content).items()}


def _problem(key: str, values: Mapping[str, object]) -> str:
    field = Settings.model_fields.get(key)
    if field is None:
        near = get_close_matches(key, Settings.model_fields, n=1)
        return f"{key}: no such setting; wanted {near[0] if near else ', '.join(Settings.model_fields)}"
    got = repr(values[key]) if key in values else "nothing"
    return f"{key}: wanted {field.description}; got {got}"


def _require(condition: bool) -> None:
    """Fail the validator; the field's description says what was wanted."""
    if not condition:
        raise ValueError
