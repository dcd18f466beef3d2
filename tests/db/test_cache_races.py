"""Two sessions and one key: a result is kept, a reservation freed, while another session looks for them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from signalbox.control.journal import Journal
from signalbox.rules.cache import CacheStatus
from signalbox.rules.phases import Phase
from signalbox.store import actions, cache, runs
from signalbox.store.cache import CacheKey, NewEntry
from signalbox.store.db import Tx
from signalbox.store.dispatch import Granted
from signalbox.store.new_actions import NewAction
from support.engine import CLUSTER, NOW, RUN, Engine, new_action

MINUTE = timedelta(minutes=1)
SECOND = RUN._replace(run="r2")
KEY = CacheKey("local", "flytesnacks/development", "k")
URI = "file:///store/r1/x/1"


def serialized(name: str) -> NewAction:
    run = RUN if name.startswith("c") else SECOND
    return new_action(name, run=run)._replace(cache_key="k", is_serialized=True)


async def answer(engine: Engine, action: NewAction) -> tuple[Phase, str, str]:
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute(
            "SELECT phase, cache_status, output_uri FROM action WHERE run = %(run)s AND name = %(action)s",
            action.key._asdict(),
        )
        ((phase, status, uri),) = await cursor.fetchall()
    return Phase(phase), status, uri


async def test_a_result_that_is_kept_while_its_key_is_being_reserved_is_not_computed_again(engine: Engine) -> None:
    """The reservation waits for the report that frees it; what was looked up before that is out of date by then."""
    await engine.begin(SECOND)
    await engine.enqueue(serialized("c1"))
    computing = (await engine.lease())["c1"]

    async with engine.db.transaction() as tx:
        await _succeed(tx, computing)
        enqueuing = asyncio.create_task(
            engine.enqueue(
                serialized("d1"),
                serialized("d2"),
            )
        )
        await _blocked(engine)
    assert await enqueuing == [None, None]

    for name in ("d1", "d2"):
        assert await answer(engine, serialized(name)) == (Phase.SUCCEEDED, CacheStatus.HIT, URI)
    assert await reservations(engine) == []


async def test_a_waiter_that_is_looked_at_while_its_result_is_being_kept_is_answered_with_it(engine: Engine) -> None:
    await engine.begin(SECOND)
    await engine.enqueue(serialized("c1"))
    await engine.lease()
    await engine.enqueue(
        serialized("d1"),
        serialized("d2"),
    )
    await engine.age(MINUTE)

    async with engine.db.transaction() as tx:
        # What a success writes before it wakes the waiters: then it locks their rows, and nothing looks at them.
        await cache.put(tx, [NewEntry(KEY, URI, "c1", max_age=None, overwrite=True)])
        await cache.release(tx, KEY.org, [str(serialized("c1").key)])
        looking = asyncio.create_task(engine.look())
        await _blocked(engine)
    await looking

    for name in ("d1", "d2"):
        assert await answer(engine, serialized(name)) == (Phase.SUCCEEDED, CacheStatus.HIT, URI)
    assert await reservations(engine) == []


async def test_who_gives_reservations_back_and_who_takes_them_never_wait_in_a_circle(engine: Engine) -> None:
    """Those of one owner lie in the table, and in its index, against the order of their keys."""
    keys = [CacheKey("local", "s", f"k{n}") for n in range(9)]
    for key in reversed(keys):
        async with engine.db.transaction() as tx:
            await cache.reserve(tx, [(key, "a")])
    held = asyncio.Event()

    async def one_by_one() -> None:
        """Holds the first key, as whoever reserves in key order would, and then wants the others."""
        async with engine.db.transaction() as tx:
            await cache.get_or_extend(tx, keys[0], owner="b", heartbeat=MINUTE, life=MINUTE)
            held.set()
            await _blocked(engine)
            await cache.reserve(tx, [(key, "b") for key in keys[1:]])

    async def give_back() -> None:
        await held.wait()
        async with engine.db.transaction() as tx:
            await cache.release(tx, "local", ["a"])

    await asyncio.gather(one_by_one(), give_back())

    assert await reservations(engine) == []


async def reservations(engine: Engine) -> list[str]:
    async with engine.db.autocommit() as tx:
        cursor = await tx.execute("SELECT owner FROM cache_reservation")
        return [row[0] for row in await cursor.fetchall()]


async def _succeed(tx: Tx, granted: Granted) -> None:
    """What the success of the attempt writes, in a transaction that goes on."""
    journal = Journal(await runs.lock(tx, [granted.key.run_key]), now=NOW)
    await journal.load(tx, [granted.key])
    state = journal.state(granted.key)
    assert state is not None
    journal.move(state, Phase.SUCCEEDED, epoch=granted.epoch, at=NOW, cluster=CLUSTER.cluster, output_uri=URI)
    await journal.write(tx)
    assert await actions.states(tx, [granted.key]), "all of it has been executed"


async def _blocked(engine: Engine) -> None:
    """Wait until a session waits for a lock of another."""
    async with asyncio.timeout(10), engine.db.autocommit() as tx:
        while True:
            cursor = await tx.execute("SELECT 1 FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0")
            if await cursor.fetchone():
                return
            await asyncio.sleep(0.01)
