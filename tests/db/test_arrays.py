"""Lists as PostgreSQL's array literals: what goes in comes out, whatever it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.store.db import Database

texts = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the bounds are naive
spans = st.timedeltas(timedelta(days=-400), timedelta(days=400))
once = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def sent(db: Database, **values: list[object]) -> list[object]:
    (kind, value), *_ = values.items()
    async with db.autocommit() as tx:
        match kind:
            case "text":
                cursor = await tx.execute("SELECT %(v)s::text[]", {"v": value})
            case "bytea":
                cursor = await tx.execute("SELECT %(v)s::bytea[]", {"v": value})
            case "timestamptz":
                cursor = await tx.execute("SELECT %(v)s::timestamptz[]", {"v": value})
            case "interval":
                cursor = await tx.execute("SELECT %(v)s::interval[]", {"v": value})
            case "bigint":
                cursor = await tx.execute("SELECT %(v)s::bigint[]", {"v": value})
            case _:
                cursor = await tx.execute("SELECT %(v)s::boolean[]", {"v": value})
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


@once
@given(texts)
async def test_texts(db: Database, values: list[object]) -> None:
    assert await sent(db, text=values) == values


@once
@given(st.lists(st.none() | st.binary()))
async def test_bytes(db: Database, values: list[object]) -> None:
    assert await sent(db, bytea=values) == values


@once
@given(
    st.lists(times), st.lists(spans), st.lists(st.integers(-(2**63), 2**63 - 1)), st.lists(st.none() | st.booleans())
)
async def test_all_else(
    db: Database, at: list[object], long: list[object], whole: list[object], truth: list[object]
) -> None:
    assert await sent(db, timestamptz=at) == at
    assert await sent(db, interval=long) == long
    assert await sent(db, bigint=whole) == whole
    assert await sent(db, boolean=truth) == truth


async def test_the_word_null_and_separators_are_texts_like_any_other(db: Database) -> None:
    values: list[object] = ["NULL", "null", "", '"', "\\", ",", "{}", "\x1f", "a\x1fb", " "]

    assert await sent(db, text=values) == values
