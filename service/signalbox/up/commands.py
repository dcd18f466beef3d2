"""The commands that `signalbox up` runs, and the environment that each needs.

The other distributions are started as commands and never imported: what is installed decides what can run.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from signalbox.errors import Unavailable
from signalbox.up.places import Places
from signalbox.up.ports import HOST, Ports
from signalbox.up.processes import Program

CLUSTER = "local"
ORG = "local"


@dataclass(frozen=True, kw_only=True)
class Commands:
    places: Places
    ports: Ports
    database_url: str
    service: tuple[str, ...] = (sys.executable, "-m", "signalbox")
    folders: tuple[Path, ...] = field(default_factory=lambda: (Path(sys.executable).parent,))
    """Where the commands of the other distributions are looked for, before PATH."""

    def serve(self) -> Program:
        return self._service("serve", "serve")

    def reconcile(self) -> Program:
        return self._service("reconcile", "reconcile")

    def migrate(self) -> Program:
        return self._service("migrate", "migrate")

    def join_token(self) -> Program:
        return self._service("join-token", "cluster", "create-join-token", CLUSTER, "-o", "json")

    def dataplane(self, token_file: Path) -> Program:
        environment = {
            "SIGNALBOX_DATAPLANE_CONTROL_PLANE": f"http://{HOST}:{self.ports.api}",
            "SIGNALBOX_DATAPLANE_JOIN_TOKEN_FILE": str(token_file),
            "SIGNALBOX_DATAPLANE_STATE_DIR": str(self.places.dataplane),
            "SIGNALBOX_DATAPLANE_LISTEN": f"{HOST}:{self.ports.dataplane}",
            "SIGNALBOX_DATAPLANE_STORAGE": self.places.storage.as_uri(),
            "SIGNALBOX_DATAPLANE_RUNTIME_BIN": str(self.places.flyte_environment / "bin"),
        }
        return self._program("data plane", (self.find("signalbox-dataplane"), "serve"), environment)

    def capabilities(self) -> Program:
        return self._program(
            "capabilities", (self.find("signalbox-emulator"), "capabilities", "-o", "json"), self._path()
        )

    def deploy(self, capabilities: Path) -> Program:
        """The local deployment, and the evidence from it while the emulator still serves."""
        root, state, output = str(self.places.root), self.places.emulator, str(self.places.evidence)
        emulate = (self.find("signalbox-emulator"), "deploy", "--project", root, "--state-dir", str(state))
        assembly = str(state / "cdk.out")
        collect = (self.find("signalbox-evidence"), "collect", "--assembly", assembly, "--output", output)
        command = (*emulate, "--", *collect, "--capabilities", str(capabilities))
        # the emulator records what is deployed when it stops; still within the ten seconds of all
        return replace(self._program("deploy", command, self._path()), grace=4.0)

    def flyte(self, name: str, *arguments: str) -> Program:
        """A command of the stock SDK's own environment: `flyte`, `python`."""
        command = (str(self.places.flyte_environment / "bin" / name), *arguments)
        return self._program("sample", command, {})

    def check(self, *, with_deployment: bool) -> None:
        """See that everything that will be started is there. Raises Unavailable, naming what is missing."""
        self.find("signalbox-dataplane")
        if not (self.places.flyte_environment / "bin" / "flyte").exists():
            raise Unavailable(f"{self.places.flyte_environment}: the SDK's environment is missing", hint="make setup")
        if with_deployment:
            for name in ("signalbox-emulator", "signalbox-evidence", "node", "cdk"):
                self.find(name)

    def find(self, name: str) -> str:
        """The absolute path of a command. Raises Unavailable."""
        found = shutil.which(name, path=self._path()["PATH"])
        if found is None:
            raise Unavailable(
                f"`{name}` is not installed here",
                hint="`signalbox up` needs the whole checkout: run `make up` there; "
                "`--only service` needs neither emulator, evidence nor Node",
            )
        return found

    def _service(self, name: str, *arguments: str) -> Program:
        environment = {
            "SIGNALBOX_DATABASE_URL": self.database_url,
            "SIGNALBOX_LISTEN": f"{HOST}:{self.ports.api}",
            "SIGNALBOX_AUTH": "development",
            "SIGNALBOX_DEFAULT_ORG": ORG,
        }
        if self.ports.console != self.ports.api:
            environment["SIGNALBOX_CONSOLE_LISTEN"] = f"{HOST}:{self.ports.console}"
        return self._program(name, (*self.service, *arguments), environment)

    def _program(self, name: str, command: tuple[str, ...], environment: Mapping[str, str]) -> Program:
        log = self.places.logs / f"{name.replace(' ', '')}.log"
        return Program(name=name, command=command, log=log, environment=environment, directory=self.places.root)

    def _path(self) -> Mapping[str, str]:
        """The Node that set-up chose first, then the tools of the checkout."""
        first = (self.places.root / ".tools" / "bin", *self.folders, self.places.root / "node_modules" / ".bin")
        return {"PATH": os.pathsep.join([*map(str, first), os.environ.get("PATH", "")])}
