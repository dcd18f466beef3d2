"""Settings of the data plane: environment variables `SIGNALBOX_DATAPLANE_*`, checked once at the start.

Every error names the variable, what it got and what is wanted. Secrets are never printed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from signalbox_dataplane.errors import USAGE, Exit
from signalbox_wire.loopback import is_loopback

PREFIX = "SIGNALBOX_DATAPLANE_"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("wanted an http:// or https:// URL")
    return value.rstrip("/")


def _storage(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1 and ".." not in parts.path.split("/"):
        return value.rstrip("/")
    if parts.scheme == "s3" and parts.netloc:
        return value.rstrip("/")
    raise ValueError("wanted file:///absolute/directory or s3://bucket/prefix")


def _listen(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004  # the highest TCP port
        raise ValueError("wanted address:port")
    if not is_loopback(host.strip("[]")):
        raise ValueError(
            "wanted a loopback address: this version's dataproxy does not authenticate its callers,"
            " so it must not be reachable from other machines"
        )
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class Settings(BaseSettings):
    """What an operator decides about one data plane."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    control_plane: HttpUrl
    """Where the control plane answers, e.g. http://localhost:8090."""
    state_dir: Path
    """Credential, signing key, work directories and logs of running attempts; owner-only."""
    storage: Annotated[str, AfterValidator(_storage)]
    """Object store: file:///absolute/directory or s3://bucket/prefix."""
    join_token: SecretStr | None = None
    """Needed until the cluster is enrolled, and to enrol again when its credential was refused."""
    join_token_file: Path | None = None
    """A file that holds the join token; read at each enrolment."""
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8091"
    """Address and port of the dataproxy; port 0 takes a free one."""
    public_endpoint: HttpUrl | None = None
    """Where SDK and browser reach the dataproxy. Default: http://localhost:<port>."""
    s3_endpoint_url: HttpUrl | None = None
    """An S3 API other than AWS's own."""
    runtime_bin: Path | None = None
    """`bin` directory of the environment with the Flyte SDK: first on the PATH of tasks."""
    task_control_plane: HttpUrl | None = None
    """Where task processes reach the control plane. Default: `control_plane`."""
    max_processes: Annotated[int, Field(ge=1, le=4096)] = 2 * (os.cpu_count() or 1) + 2
    """Most task processes that compute at once. Parents that wait for children on this cluster do not count."""
    capacity: Annotated[int, Field(ge=1, le=100_000)] = 5000
    """Most attempts held at once, running or waiting."""
    upload_limit_bytes: Annotated[int, Field(ge=1)] = 5 * 1024**3
    """Largest object that a signed upload URL of the directory store takes."""

    @model_validator(mode="after")
    def _one_join_token(self) -> Self:
        if self.join_token and self.join_token_file:
            raise ValueError(f"{PREFIX}JOIN_TOKEN and {PREFIX}JOIN_TOKEN_FILE are both set, wanted one of them")
        return self

    def token(self) -> str | None:
        """The join token, if there is one now. Raises Exit for a file that cannot be read."""
        if self.join_token:
            return self.join_token.get_secret_value()
        if self.join_token_file is None:
            return None
        try:
            return self.join_token_file.read_text().strip() or None
        except FileNotFoundError:
            return None  # it is removed after use; that matters only when a credential is missing
        except OSError as error:
            raise Exit(USAGE, f"{PREFIX}JOIN_TOKEN_FILE: cannot read {self.join_token_file}: {error}") from error

    @property
    def listen_host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        return int(self.listen.rpartition(":")[2])


def load() -> Settings:
    """Settings from the environment. Raises Exit(USAGE) with one line for each that is missing or wrong."""
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue]  # required fields come from the environment
    except ValidationError as error:
        raise Exit(
            USAGE, "\n".join(_sentence(e["loc"], e["type"], e["msg"], e.get("input")) for e in error.errors())
        ) from None
    if settings.runtime_bin and not settings.runtime_bin.is_dir():
        raise Exit(USAGE, f"{PREFIX}RUNTIME_BIN: got {str(settings.runtime_bin)!r}, wanted an existing directory")
    if not settings.state_dir.is_absolute():
        raise Exit(USAGE, f"{PREFIX}STATE_DIR: got {str(settings.state_dir)!r}, wanted an absolute path")
    return settings


def _sentence(loc: tuple[int | str, ...], kind: str, message: str, got: object) -> str:
    wanted = message.removeprefix("Value error, ")
    if not loc:
        return wanted
    name = PREFIX + str(loc[0]).upper()
    return f"{name}: not set" if kind == "missing" else f"{name}: got {got!r}, {wanted}"
