from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from signalbox.errors import Conflict, Unavailable
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


def test_a_database_that_is_newer_than_the_program_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_migration (name, sha256) VALUES ('9999_tomorrow.sql', '')")

    with pytest.raises(Conflict, match="9999_tomorrow"):
        migrate(database_url)


def test_a_database_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        migrate("postgresql://127.0.0.1:1/nowhere?connect_timeout=1")


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
