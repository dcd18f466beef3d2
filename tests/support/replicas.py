"""More replicas of the service on a stack's database, and what stands before them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx

from support.checkout import free_port, until
from support.stack import Stack


@dataclass
class Replica:
    """A `signalbox serve` of its own."""

    database_url: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] = field(init=False)

    def begin(self) -> None:
        """Start it, and wait until it is ready."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        its = {
            "SIGNALBOX_DATABASE_URL": self.database_url,
            "SIGNALBOX_LISTEN": f"127.0.0.1:{self.port}",
            "SIGNALBOX_AUTH": "development",
        }
        command = [sys.executable, "-m", "signalbox", "serve"]
        self.process = subprocess.Popen(command, env=ours | its, stderr=subprocess.DEVNULL)
        until(lambda: is_ready(self.port), within=20, what=lambda: "the replica is ready")

    def restart(self) -> None:
        """As a roll-out does it: asked to end, awaited, started anew."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0
        self.begin()


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False


@contextmanager
def another_replica(stack: Stack) -> Generator[Replica]:
    replica = Replica(stack.database_url())
    replica.begin()
    try:
        yield replica
    finally:
        replica.process.kill()
        replica.process.wait()


@contextmanager
def balancer(port: int, replicas: Sequence[int]) -> Generator[None]:
    """Listens on `port`; gives each connection to the first replica, in turns, that accepts it, as a load balancer."""
    loop = asyncio.new_event_loop()
    turns = 0

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while some := await source.read(65536):
                target.write(some)
                await target.drain()
        target.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turns
        turns += 1
        for number in range(len(replicas)):
            with suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", replicas[(turns + number) % len(replicas)])
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(pump(reader, there[1]))
                    pumps.create_task(pump(there[0], writer))
                return
        writer.close()

    async def listen() -> None:
        with suppress(asyncio.CancelledError):
            await (await asyncio.start_server(connected, "127.0.0.1", port)).serve_forever()

    thread = threading.Thread(target=lambda: loop.run_until_complete(listening))
    listening = loop.create_task(listen())
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(listening.cancel)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()
