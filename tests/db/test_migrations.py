from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from signalbox.errors import Conflict, Unavailable
from signalbox.store import migrate as migrations
from signalbox.store.migrate import files, migrate
from support.database import Server

NOT_OF_A_TENANT = {"duty", "schema_migration"}


def test_every_file_is_applied_once_in_order(postgres: Server) -> None:
    with postgres.database(migrated=False) as url:
        assert migrate(url) == list(files())
        assert migrate(url) == []


def test_migrators_that_start_together_wait_for_each_other(postgres: Server) -> None:
    with postgres.database(migrated=False) as url, ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [url] * 4))

    assert sorted(map(len, applied)) == [0, 0, 0, len(files())]


def test_a_file_that_was_changed_after_it_was_applied_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE schema_migration SET sha256 = 'other' WHERE name LIKE '0001%'")

    with pytest.raises(Conflict, match=r"0001_initial\.sql was changed"):
        migrate(database_url)


def test_a_program_that_is_rolled_back_leaves_a_newer_database_as_it_is(database_url: str) -> None:
    migrate(database_url, app_role="signalbox_app")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE tomorrow (id int)")
        connection.execute("GRANT SELECT ON tomorrow TO signalbox_app")
        connection.execute("INSERT INTO schema_migration (name, sha256) VALUES ('9999_tomorrow.sql', '')")

        assert migrate(database_url, app_role="signalbox_app") == []

        kept = connection.execute("SELECT has_table_privilege('signalbox_app', 'tomorrow', 'SELECT')").fetchone()
    assert kept == (True,)


def test_a_database_that_needs_a_newer_program_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO schema_migration (name, sha256, requires)"
            " VALUES ('9998_more.sql', '', NULL), ('9999_less.sql', '', '9998_more.sql'), ('9999_z.sql', '', %s)",
            (min(files()),),
        )

    with pytest.raises(Conflict, match=r"9999_z.sql, and needs a program that knows 9998_more.sql$"):
        migrate(database_url)


def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        migrate("postgresql://127.0.0.1:1/nowhere?connect_timeout=1")


def test_a_database_that_lets_nobody_in_yet_is_awaited(postgres: Server) -> None:
    with postgres.database() as url, psycopg.connect(postgres.url(), autocommit=True) as administrator:
        name = sql.Identifier(url.removeprefix("postgresql:///").partition("?")[0])
        administrator.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(migrate, url, wait=timedelta(seconds=20))
            time.sleep(1.5)
            assert not waiting.done()
            administrator.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            assert waiting.result() == []

    assert time.monotonic() - began < 10


def test_the_wait_for_a_database_is_bounded() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be reached"):
        migrate("postgresql://127.0.0.1:1/nowhere", wait=timedelta(seconds=2))

    assert 1 <= time.monotonic() - began < 5


def test_a_migrator_that_holds_the_lock_for_too_long_is_said(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "PATIENCE", timedelta(milliseconds=200))
    with psycopg.connect(database_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (migrations.LOCK,))
        with pytest.raises(Unavailable, match="holds for too long"):
            migrate(database_url)

    assert migrate(database_url) == []


def test_a_migrator_with_nothing_to_do_is_quick(database_url: str) -> None:
    began = time.monotonic()
    for _ in range(10):
        migrate(database_url)

    assert (time.monotonic() - began) / 10 < 0.5


def test_the_key_of_every_table_of_a_tenant_leads_with_its_org(database_url: str) -> None:
    query = """
        SELECT t.relname, a.attname
          FROM pg_class t
          JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = 'public'
          LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisprimary
          LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
         WHERE t.relkind IN ('r', 'p')"""
    with psycopg.connect(database_url) as connection:
        leading = dict(connection.execute(query).fetchall())

    assert len(leading) > 10
    assert {table for table, column in leading.items() if column != "org"} == NOT_OF_A_TENANT
