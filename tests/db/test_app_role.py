"""The role that serve and reconcile log in as: all that they need, and nothing that they do not."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from psycopg import sql

from signalbox.control import retention
from signalbox.errors import Conflict, Invalid
from signalbox.op import RECONCILER, Op
from signalbox.reconcile import driver
from signalbox.rules.phases import Phase
from signalbox.settings import Settings
from signalbox.store.db import Database
from signalbox.store.migrate import migrate
from signalbox.store.retention import Policy
from support.database import Server
from support.engine import NOW, Engine, new_action, report

APP = "app_of_a_test"
REFUSED = psycopg.errors.InsufficientPrivilege


@pytest.fixture
def url(postgres: Server) -> Generator[str]:
    """The owner's URL of a database in which the role has its rights."""
    with postgres.database(migrated=False) as made:
        migrate(made, app_role=APP)
        yield made
        postgres.drop_role(APP, made)


def as_app(url: str) -> str:
    return url.replace("user=signalbox", f"user={APP}")


def privileges(url: str, role: str) -> dict[str, set[str]]:
    """What the role may do with each relation of the schema, partitions included."""
    query = """
        SELECT c.relname, p
          FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
           AND has_table_privilege(%s, c.oid, p)"""
    found: dict[str, set[str]] = {}
    with psycopg.connect(url) as connection:
        for table, privilege in connection.execute(query, (role,)).fetchall():
            found.setdefault(table, set()).add(privilege)
    return found


async def test_rows_of_all_tables_but_the_audit_trail_and_the_schemas_version(url: str) -> None:
    async with Database(as_app(url), size=3) as db:
        await retention.keep_audit(Op(who=RECONCILER, now=NOW, request_id="t", db=db), keep=timedelta(days=400))

    rights = privileges(url, APP)

    rows = {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert rights.pop("audit") == {"INSERT"}
    assert rights.pop("schema_migration") == {"SELECT"}
    assert {"run", "action", "work", "duty", "legal_hold", "expired_run"} <= set(rights)
    assert {table for table, given in rights.items() if given != rows} == set()
    assert not [table for table in rights if table.startswith("audit")], "no month of the trail, also none made later"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE mine",
        "DROP TABLE run",
        "DROP TABLE audit_default",
        "ALTER TABLE run ADD COLUMN mine int",
        "TRUNCATE run CASCADE",
        "SELECT * FROM audit",
        "UPDATE audit SET principal = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit_default",
        "INSERT INTO schema_migration (name, sha256) VALUES ('9999_mine.sql', '')",
        "COPY run TO PROGRAM 'cat'",
        "SET ROLE signalbox",
    ],
)
def test_what_it_may_not_do_is_refused(url: str, statement: str) -> None:
    with psycopg.connect(as_app(url)) as connection, pytest.raises(REFUSED):
        connection.execute(statement.encode())


def test_the_trail_of_the_last_month_cannot_be_dropped_by_the_function_that_drops_months(url: str) -> None:
    with psycopg.connect(as_app(url), autocommit=True) as connection:
        connection.execute("SELECT make_audit_month(date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')")
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="less than 30 days ago"):
            connection.execute(
                "SELECT drop_audit_month(date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"
            )
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="first moment of a month"):
            connection.execute("SELECT make_audit_month(now())")


def test_nobody_else_may_call_those_functions(url: str) -> None:
    query = """
        SELECT has_function_privilege('public', p.oid, 'EXECUTE') FROM pg_proc p
         WHERE proname IN ('make_audit_month', 'drop_audit_month')"""
    with psycopg.connect(url) as connection:
        assert connection.execute(query).fetchall() == [(False,), (False,)]


async def test_a_run_is_created_worked_on_reconciled_and_deleted_with_its_rights(url: str) -> None:
    settings = Settings(queue_log_every=timedelta(seconds=1))
    async with Database(as_app(url), size=8) as db:
        engine = Engine(db)
        await engine.begin()
        await engine.open_stream()
        granted = await engine.lease()
        await engine.enqueue(new_action("c1"))
        await engine.report(report((await engine.lease())["c1"], Phase.SUCCEEDED))
        await engine.report(report(granted["a0"], Phase.SUCCEEDED))
        for task in (*driver.REPAIRS, driver.CLEANING, driver.QUEUE_LINE):
            assert await driver.one_pass(task, db, engine.hub, settings) is not None, task.name
        with psycopg.connect(url) as owner:
            owner.execute("UPDATE run SET ended_at = now() - interval '2 days'")
        await retention.set_policy(engine.user, Policy("local", "", "any", timedelta(days=1)))
        assert await retention.delete_expired(Op(who=RECONCILER, now=NOW, request_id="t", db=db), limit=10) == 1

    with psycopg.connect(url) as owner:
        assert owner.execute("SELECT count(*) FROM run").fetchone() == (0,)
        assert owner.execute("SELECT count(*) FROM audit WHERE operation = 'run.delete'").fetchone() == (1,)


def test_it_is_a_member_of_rds_iam_where_there_is_such_a_role(url: str, postgres: Server) -> None:
    membership = "SELECT pg_has_role(%s, 'rds_iam', 'MEMBER')"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE rds_iam")
        try:
            assert connection.execute(membership, (APP,)).fetchone() == (False,)
            assert migrate(url, app_role=APP) == []
            assert connection.execute(membership, (APP,)).fetchone() == (True,)
        finally:
            connection.execute("DROP ROLE rds_iam")


def test_rights_that_somebody_added_are_taken_back_at_the_next_migration(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT ALL ON audit, schema_migration, run TO {}").format(sql.Identifier(APP)))

    migrate(url, app_role=APP)

    rights = privileges(url, APP)
    assert (rights["audit"], rights["schema_migration"]) == ({"INSERT"}, {"SELECT"})
    assert "TRUNCATE" not in rights["run"]


def test_the_owner_or_an_administrator_is_refused_as_the_role(url: str) -> None:
    with pytest.raises(Conflict, match="signalbox is an administrator"):
        migrate(url, app_role="signalbox")
    with pytest.raises(Invalid, match="app_role: lower-case"):
        migrate(url, app_role='x"; DROP TABLE run; --')


def test_many_migrators_at_once_give_the_rights_once(url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(partial(migrate, app_role=APP), [url] * 12)) == [[]] * 12
