"""Loopback ports: whether one is free, who has it, and whether an HTTP server answers there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from signalbox.errors import Conflict, Invalid

DEFAULT_PORT = 8090
CONSOLE_PORT = 8080
HOST = "127.0.0.1"
LISTEN = "0A"  # state of a listening socket in /proc/net/tcp


@dataclass(frozen=True)
class Ports:
    """The SDK prints console links of `localhost:8090` as `localhost:8080`; only there the console has its own port."""

    api: int = DEFAULT_PORT

    def __post_init__(self) -> None:
        if not 1024 <= self.api <= 65534:  # noqa: PLR2004  # the range of ports that need no root, and one beside it
            raise Invalid(f"PORT: 1024 to 65534, got {self.api}")

    @property
    def console(self) -> int:
        return CONSOLE_PORT if self.api == DEFAULT_PORT else self.api

    @property
    def dataplane(self) -> int:
        return self.api + 1

    def check_free(self) -> None:
        """Raises Conflict, naming the first port that is taken, who has it when that can be seen, and the way out."""
        purposes = {self.console: "the console", self.api: "the API", self.dataplane: "the data plane"}
        for port, purpose in purposes.items():  # where API and console share a port, it is the API's
            if not is_free(port):
                owner = owner_of(port)
                by = f" by {owner}" if owner else ""
                another = self.api + 1000 if self.api + 1000 < 65000 else DEFAULT_PORT + 1000  # noqa: PLR2004  # any other
                raise Conflict(
                    f"port {port} for {purpose} is taken{by}",
                    hint=f"stop it, or choose other ports: make up PORT={another} (or: signalbox up --port {another})",
                )


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def owner_of(port: int) -> str | None:
    """Who listens on the port, as "name (process 123)"; None where that cannot be seen."""
    inodes = set(_listening(port))
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        with contextlib.suppress(OSError):
            if descriptor.readlink().name in inodes:
                process = descriptor.parent.parent
                name = (process / "comm").read_text().strip()
                return f"{name} (process {process.name})"
    return None


def _listening(port: int) -> Iterable[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield f"socket:[{fields[9]}]"


async def answers(port: int, path: str) -> bool:
    """Whether GET `path` is answered with 200 within a second."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
                status = (await reader.readline()).split()
                return len(status) > 1 and status[1] == b"200"
            finally:
                writer.close()
    return False
