"""The service's settings: environment variables with the prefix `SIGNALBOX_`, read once, at start.

Numbers that operators may change are here and nowhere else; docs/operating.md lists them.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from signalbox.errors import Invalid
from signalbox_wire.loopback import is_loopback

_HIGHEST_PORT = 65535


class Auth(StrEnum):
    """How callers prove who they are."""

    DEVELOPMENT = "development"
    """Whoever reaches a loopback port is the developer. Refused on any other address."""


class DatabaseLogin(StrEnum):
    """With what the processes log in to the database."""

    PASSWORD = "password"  # noqa: S105  # the kind, not one
    """As libpq finds it: in the URL, PGPASSWORD, a password file, or none."""
    IAM = "iam"
    """A token of AWS IAM, a fresh one for each connection."""


class Tls(StrEnum):
    OFF = "off"
    FILES = "files"
    """Certificate and key as given."""
    SELF_SIGNED = "self-signed"
    """A certificate of this process's own, for the hop behind a load balancer, which does not check it."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SIGNALBOX_", frozen=True, extra="forbid")

    database_url: SecretStr = SecretStr("")
    """postgresql:// URL, or empty to take libpq's own variables (PGHOST, PGUSER, ...)."""
    database_login: DatabaseLogin = DatabaseLogin.PASSWORD
    database_pool: int = Field(default=12, ge=3, le=200)

    listen: str = "127.0.0.1:8090"
    console_listen: str | None = None
    """A second address for the same service: the SDK prints console links of `localhost:8090` as `localhost:8080`."""
    auth: Auth | None = None
    tls: Tls = Tls.OFF
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None

    default_org: str = "local"
    """Stands in for the empty org of a client that names none."""
    domains: Annotated[tuple[str, ...], NoDecode] = ("development", "staging", "production")
    default_projects: Annotated[tuple[str, ...], NoDecode] = ("flytesnacks",)

    request_limit_bytes: int = Field(default=4 * 1024 * 1024, ge=64 * 1024)
    error_limit_bytes: int = Field(default=8 * 1024, ge=256)
    """Longest error message that is kept; more is cut, and the cut is said."""

    lease_ttl: timedelta = timedelta(seconds=30)
    """A cluster silent for longer, by the database's clock, loses what it holds."""
    fence_after: timedelta = timedelta(seconds=24)
    """A cluster without an acknowledged report for this long stops all by itself; shorter than `lease_ttl`."""
    report_every: timedelta = timedelta(seconds=5)
    progress_every: timedelta = timedelta(seconds=8)
    """Every stream says something at least this often, so that quiet can be told from dead."""
    stream_max_age: timedelta = timedelta(minutes=10)
    """Streams end cleanly at about this age, so that clients resolve the address again."""
    system_retries: int = Field(default=3, ge=0, le=100)
    credential_life: timedelta = timedelta(hours=24)
    retention_every: timedelta = timedelta(hours=1)
    audit_keep: timedelta = Field(default=timedelta(days=400), ge=timedelta(days=30))
    """Months of the audit trail that ended longer ago are dropped."""
    reconcile_every: timedelta = timedelta(seconds=1)
    queue_log_every: timedelta = Field(default=timedelta(minutes=1), ge=timedelta(seconds=1))
    """How often one of the reconcilers logs how much waits."""
    heartbeat_file: Path | None = None
    """The reconciler touches it while it goes on; `signalbox health reconcile` looks at it."""

    @field_validator("domains", "default_projects", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.fence_after >= self.lease_ttl:
            raise ValueError(f"fence_after must be shorter than lease_ttl ({self.lease_ttl}), got {self.fence_after}")
        if self.tls is Tls.FILES and not (self.tls_certificate_file and self.tls_key_file):
            raise ValueError("tls: 'files' needs tls_certificate_file and tls_key_file")
        return self

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each address to listen on. Raises Invalid."""
        return [_address(text) for text in (self.listen, self.console_listen) if text]

    def check_exposure(self) -> None:
        """Refuse a development principal that others than this machine could use. Raises Invalid."""
        if self.auth is None:
            raise Invalid(
                "SIGNALBOX_AUTH: not set, and there is no default",
                hint="'development' is the one mode of this version, for loopback addresses only",
            )
        for host, port in self.addresses:
            if not is_loopback(host):
                raise Invalid(
                    f"SIGNALBOX_AUTH=development: refused on {host}:{port}, which is not a loopback address",
                    hint="listen on 127.0.0.1 or localhost",
                )


def load() -> Settings:
    """Settings from the environment. Raises Invalid, naming each variable that is wrong."""
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # pydantic-settings fills it from the environment
    except ValidationError as e:
        problems = "; ".join(_problem(tuple(error["loc"]), error["msg"]) for error in e.errors(include_input=False))
        raise Invalid(f"settings: {problems}") from e


def _problem(loc: tuple[int | str, ...], message: str) -> str:
    variable = f"SIGNALBOX_{'_'.join(str(part) for part in loc).upper()}: " if loc else ""
    return variable + message


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > _HIGHEST_PORT:
        raise Invalid(f"SIGNALBOX_LISTEN: host:port, got {text!r}")
    return host.strip("[]"), int(port)
