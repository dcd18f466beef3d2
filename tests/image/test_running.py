"""The image at work, as hard as on Fargate: migrated, serving TLS, reconciling, and running a task of the stock SDK."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import httpx
import psycopg
import pytest

from support.checkout import free_port, until
from support.containers import Podman
from support.database import Server
from support.stack import FLYTE, run_name

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

APP = "signalbox_app"
SDK = """
admin:
  endpoint: dns:///127.0.0.1:{port}
  caCertFilePath: {authority}
image:
  builder: local
task:
  org: local
  project: flytesnacks
  domain: development
"""
PROGRAM = """
import asyncio
import flyte

env = flyte.TaskEnvironment(name="fan")

@env.task
async def square(x: int) -> int:
    return x * x

@env.task
async def main(n: int) -> int:
    return sum(await asyncio.gather(*(square(x) for x in range(n))))
"""


@dataclass
class Deployed:
    """The control plane in containers, on a database of its own."""

    engine: Podman
    image: str
    socket_folder: Path
    database: str
    url: str
    folder: Path
    port: int

    @property
    def authority(self) -> Path:
        """The certificate that serve made for itself."""
        return self.folder / "authority.pem"

    @property
    def mount(self) -> tuple[str, ...]:
        return (f"--volume={self.socket_folder}:/database",)

    def variables(self, user: str) -> dict[str, str]:
        return {
            "SIGNALBOX_DATABASE_URL": f"postgresql:///{self.database}?host=/database&user={user}",
            "SIGNALBOX_LISTEN": f"127.0.0.1:{self.port}",
            "SIGNALBOX_AUTH": "development",
            "SIGNALBOX_TLS": "self-signed",
        }

    def command(self, *words: str, user: str = APP, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of the service in a container of its own."""
        given = [f"--env={name}={value}" for name, value in self.variables(user).items()]
        return self.engine.run(self.image, "signalbox", *words, options=(*self.mount, *given), check=check)

    def health(self, container: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.engine("exec", container, "signalbox", "health", *words, check=False)

    def sql(self, statement: LiteralString) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def stopped(self, container: str) -> tuple[int, float]:
        """SIGTERM as ECS sends it: the exit code, and the seconds until then."""
        began = time.monotonic()
        self.engine("kill", "--signal=TERM", container)
        code = int(self.engine("wait", container, within=30).stdout)
        return code, time.monotonic() - began


@pytest.fixture(scope="module")
def deployed(
    engine: Podman, image: str, postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Deployed]:
    postgres.folder.chmod(0o711)  # the container's user reaches the socket
    with postgres.database(migrated=False) as url:
        name = url.removeprefix("postgresql:///").partition("?")[0]
        folder = tmp_path_factory.mktemp("deployed")
        yield Deployed(engine, image, postgres.folder, name, url, folder, free_port())
        postgres.drop_role(APP, url)


def data_plane(deployed: Deployed, token: str) -> subprocess.Popen[str]:
    """On the host, trusting the certificate that the container made."""
    deployed.authority.write_text(ssl.get_server_certificate(("127.0.0.1", deployed.port)))
    settings = {
        "CONTROL_PLANE": f"https://127.0.0.1:{deployed.port}",
        "JOIN_TOKEN": token,
        "STATE_DIR": str(deployed.folder / "dataplane"),
        "STORAGE": (deployed.folder / "storage").as_uri(),
        "LISTEN": f"127.0.0.1:{deployed.port + 1}",
        "RUNTIME_BIN": str(FLYTE / "bin"),
    }
    own = {f"SIGNALBOX_DATAPLANE_{name}": value for name, value in settings.items()}
    with (deployed.folder / "dataplane.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "signalbox_dataplane", "serve"],
            env=plain() | own | {"SSL_CERT_FILE": str(deployed.authority)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def plain() -> dict[str, str]:
    elsewhere = ("SIGNALBOX_", "FLYTE", "UCTL_", "_U_", "_F_", "SSL_CERT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}


def flyte(deployed: Deployed, *words: str) -> str:
    """The stock CLI; what it printed."""
    configuration = deployed.folder / "config.yaml"
    configuration.write_text(SDK.format(port=deployed.port, authority=deployed.authority))
    command = [str(FLYTE / "bin" / "flyte"), "--config", str(configuration), *words]
    done = subprocess.run(
        command, cwd=deployed.folder, env=plain(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{(deployed.folder / 'dataplane.log').read_text()}"
    return done.stdout


def test_migrated_served_reconciled_and_used_by_the_stock_sdk_over_tls(deployed: Deployed) -> None:
    migrated = deployed.command("migrate", "--app-role", APP, "--wait-seconds", "30", user="signalbox")
    assert "0001_initial.sql" in migrated.stdout
    again = deployed.command("migrate", "--app-role", APP, user="signalbox")
    assert "the schema is current" in again.stdout

    with ExitStack() as containers:
        variables = deployed.variables(APP)
        serve, reconcile = (
            containers.enter_context(
                deployed.engine.running(
                    deployed.image, "signalbox", process, variables=variables, options=deployed.mount
                )
            )
            for process in ("serve", "reconcile")
        )
        until(lambda: deployed.health(serve).returncode == 0, within=30, what=lambda: deployed.health(serve).stdout)
        until(
            lambda: deployed.health(reconcile, "reconcile").returncode == 0,
            within=30,
            what=lambda: deployed.health(reconcile, "reconcile").stdout,
        )
        with httpx.Client(verify=False) as client:  # noqa: S501  # as a load balancer
            ready = client.get(f"https://127.0.0.1:{deployed.port}/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True})
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{deployed.port}/healthz")

        token = json.loads(deployed.command("cluster", "create-join-token", "local", "-o", "json").stdout)["token"]
        plane = data_plane(deployed, token)
        try:
            assert plane.stdout is not None
            assert plane.stdout.readline(), (deployed.folder / "dataplane.log").read_text()
            (deployed.folder / "fan.py").write_text(PROGRAM)
            name = run_name(flyte(deployed, "run", "--follow", "fan.py", "main", "--n", "6"))
            assert "55" in flyte(deployed, "get", "io", name, "--outputs-only")
            assert "succeeded" in flyte(deployed, "get", "run", name).lower()
        finally:
            plane.send_signal(signal.SIGTERM)
            plane.communicate(timeout=20)

        logs = deployed.engine("logs", reconcile)
        assert '"event": "queue"' in logs.stdout + logs.stderr
        for container in (serve, reconcile):
            code, seconds = deployed.stopped(container)
            assert (code, seconds < 10) == (0, True), (code, seconds)


def test_a_database_that_needs_a_newer_image_ends_the_migration(deployed: Deployed) -> None:
    deployed.command("migrate", user="signalbox")
    deployed.sql(
        "INSERT INTO schema_migration (name, sha256, requires)"
        " SELECT name, '', name FROM (VALUES ('9999_tomorrow.sql')) AS tomorrow (name)"
    )

    done = deployed.command("migrate", user="signalbox", check=False)

    assert done.returncode == 5
    assert "the database is newer than this program: it has 9999_tomorrow.sql" in done.stderr
    deployed.sql("DELETE FROM schema_migration WHERE name = '9999_tomorrow.sql'")


def test_a_database_that_is_not_there_is_an_exit_code_after_the_wait(deployed: Deployed) -> None:
    variables = ["--env=SIGNALBOX_DATABASE_URL=postgresql://127.0.0.1:1/x"]

    done = deployed.engine.run(
        deployed.image, "signalbox", "migrate", "--wait-seconds", "2", options=variables, check=False
    )

    assert (done.returncode, "cannot be reached" in done.stderr) == (6, True), done.stderr


def test_it_refuses_to_serve_others_without_identity(deployed: Deployed) -> None:
    done = deployed.engine.run(
        deployed.image, options=("--env=SIGNALBOX_LISTEN=0.0.0.0:8443", "--env=SIGNALBOX_AUTH=development"), check=False
    )

    assert (done.returncode, "not a loopback address" in done.stderr) == (2, True), done.stderr
