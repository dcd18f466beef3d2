"""The sequence of `signalbox up`: what is started when, on what it waits, and how all of it ends.

Stages, each stopped before the one above it: the database; the service (serve, reconcile); the data plane with the
local deployment beside it. The deployment begins when the API answers, so it does not slow the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from signalbox.up import leftovers, ports
from signalbox.up.commands import Commands
from signalbox.up.crew import Crew
from signalbox.up.flyte_config import FlyteConfig
from signalbox.up.postgres import Postgres, embedded
from signalbox.up.processes import Child, Program, ready
from signalbox.up.progress import Progress

READY_WITHIN = 30.0
LINKED_WITHIN = 30.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Running:
    """What is up, for those who work with it."""

    commands: Commands
    crew: Crew
    config: Path
    """The SDK's configuration that leads here."""
    api_seconds: float
    """From the beginning of the command until the API answered."""
    linked_seconds: float


class Interrupted(Exception):
    """The user, or the end of the terminal, asked for the end."""


async def supervise(commands: Commands, progress: Progress, work: Callable[[Running], Awaitable[T]]) -> T:
    """Bring everything up, do `work` beside it, and stop everything, whatever happens.

    Raises Conflict (already running, port taken), Unavailable (tool, disk), Failed, Interrupted.
    """
    places = commands.places
    places.prepare()
    with leftovers.only_one(places.lock) as unclean:
        ended = leftovers.end(places.state)
        if unclean or ended:
            progress.say("up", f"the last start did not end in order; processes of it that still ran: {ended}, stopped")
        commands.ports.check_free()
        crew = Crew(state=places.state, progress=progress)
        with _signals(crew, progress):
            try:
                return await _with_everything_up(commands, crew, work)
            except asyncio.CancelledError:
                raise Interrupted from None
            except BaseExceptionGroup as group:
                raise _first(group) from None
            finally:
                await crew.stop()
                places.join_token.unlink(missing_ok=True)
                progress.say("up", "everything is stopped")


async def _with_everything_up(commands: Commands, crew: Crew, work: Callable[[Running], Awaitable[T]]) -> T:
    keepers: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:

        async def start(program: Program, probe: Callable[[Child], Awaitable[bool]], within: float) -> None:
            child = await crew.start(program)
            await ready(child, lambda: probe(child), within=within)
            keepers.append(group.create_task(crew.keep(child)))

        running = await _bring_up(commands, crew, start)
        result = await work(running)
        crew.stopping = True
        for keeper in keepers:
            keeper.cancel()
    return result


Start = Callable[[Program, Callable[[Child], Awaitable[bool]], float], Coroutine[Any, Any, None]]


async def _bring_up(commands: Commands, crew: Crew, start: Start) -> Running:
    places, progress = commands.places, crew.progress
    crew.next_stage()
    if not commands.database_url:
        postgres = embedded(places)
        await _database(postgres, crew, start)
        commands = replace(commands, database_url=postgres.url)
    crew.next_stage()

    async def api_answers(_child: Child) -> bool:
        return await ports.answers(commands.ports.api, "/readyz")

    async def lives(child: Child) -> bool:
        return child.running

    async def migrate() -> None:
        await crew.run(commands.migrate())
        progress.say("database", "migrated")

    # Side by side: the service starts while its schema is brought up to date, and is not ready before.
    async with asyncio.TaskGroup() as group:
        group.create_task(migrate())
        group.create_task(start(commands.serve(), api_answers, READY_WITHIN))
    api_seconds = progress.seconds
    progress.say("service", f"the API answers, {api_seconds:.1f} s after the command")
    await start(commands.reconcile(), lives, READY_WITHIN)
    return await _data_plane(commands, crew, start, api_seconds)


async def _database(postgres: Postgres, crew: Crew, start: Start) -> None:
    """An embedded server that accepts connections, on the data of the last time if there is any."""
    found = postgres.prepare()
    if found:
        crew.progress.say("database", found)
    if postgres.new:
        await crew.run(postgres.create())
        postgres.adopt()
        # the SDK remembers uploads to a store that is as gone as the database was
        FlyteConfig(postgres.places.flyte_config).forget_uploads()

    async def accepts(_child: Child) -> bool:
        return await postgres.accepts()

    await start(postgres.server(), accepts, READY_WITHIN)
    crew.progress.say("database", f"embedded PostgreSQL accepts connections; data: {postgres.data}")


async def _data_plane(commands: Commands, crew: Crew, start: Start, api_seconds: float) -> Running:
    places = commands.places
    crew.next_stage()
    token = json.loads(await crew.capture(commands.join_token()))["token"]
    places.storage.mkdir(exist_ok=True)
    await start(commands.dataplane(_secret_file(places.join_token, token)), _says_ready, LINKED_WITHIN)
    crew.progress.say("data plane", "linked")
    fallback = places.state / "sdk" / "config.yaml"
    config, note = FlyteConfig(places.flyte_config).write(port=commands.ports.api, fallback=fallback)
    crew.progress.say("sdk", note or f"the SDK finds {config}")
    return Running(
        commands=commands,
        crew=crew,
        config=config,
        api_seconds=api_seconds,
        linked_seconds=crew.progress.seconds,
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, out of the groups that tasks wrap it in."""
    errors: list[BaseException] = [group]
    while isinstance(errors[0], BaseExceptionGroup):
        errors = list(cast("BaseExceptionGroup[BaseException]", errors[0]).exceptions)
    return errors[0]


async def _says_ready(child: Child) -> bool:
    """Whether the data plane has written its line: linked to the control plane."""
    for line in child.written():
        with contextlib.suppress(ValueError, AttributeError):
            if json.loads(line).get("event") == "ready":
                return True
    return False


def _secret_file(path: Path, secret: str) -> Path:
    """A file that only its owner reads, there until the end: secrets are on no command line."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return path


@contextlib.contextmanager
def _signals(crew: Crew, progress: Progress) -> Generator[None]:
    """The first signal asks for the orderly end, any further one for the immediate end."""
    loop, task = asyncio.get_running_loop(), cast("asyncio.Task[object]", asyncio.current_task())

    def received(number: signal.Signals) -> None:
        if crew.stopping:
            progress.say("stop", f"{number.name} again: killing what still runs")
            crew.kill()
            return
        crew.stopping = True
        progress.say("stop", f"{number.name}: stopping everything; once more to kill")
        task.cancel()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else nohup: the terminal may go
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
