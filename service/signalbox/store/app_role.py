"""The role that serve and reconcile log in as: it reads and writes rows, and can change nothing else.

It owns nothing, makes no tables, and adds to the audit trail without being able to change or read it. Its rights are
given anew after each migration instead of by default privileges: those would open the coming months of the audit trail.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from signalbox.errors import Conflict, Invalid

_IAM = "rds_iam"
"""RDS has it: its members log in with tokens of IAM and no more with a password."""
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")

_TABLES = """
    SELECT c.relname FROM pg_class c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
       AND c.relname NOT IN ('audit', 'schema_migration')
     ORDER BY c.relname"""

_POWERS = """
    SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
           OR EXISTS (SELECT 1 FROM pg_database WHERE datname = current_database() AND datdba = r.oid)
           OR EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner = r.oid)
      FROM pg_roles r WHERE rolname = %s"""

_RIGHTS = (
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
    "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {role}",
    "GRANT INSERT ON audit TO {role}",
    "GRANT SELECT ON schema_migration TO {role}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    "GRANT EXECUTE ON FUNCTION make_audit_month(timestamptz), drop_audit_month(timestamptz) TO {role}",
)


def establish(connection: psycopg.Connection[TupleRow], name: str) -> None:
    """Make the role unless it is there, and give it its rights. Raises Invalid, and Conflict for one that has more."""
    if not _NAME.match(name):
        raise Invalid(f"app_role: lower-case letters, digits and underscores, got {name!r}")
    with connection.transaction():
        # Whoever makes a month of the audit trail changes the same row of the catalogue as a grant on it.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('audit_months', 0))")
        _make(connection, name)
        tables = [row[0] for row in connection.execute(_TABLES).fetchall()]
        parts = {
            "role": sql.Identifier(name),
            "database": sql.Identifier(connection.info.dbname),
            "tables": sql.SQL(", ").join(map(sql.Identifier, tables)),
        }
        for statement in _RIGHTS:
            connection.execute(sql.SQL(statement).format(**parts))


def _make(connection: psycopg.Connection[TupleRow], name: str) -> None:
    powerful = connection.execute(_POWERS, (name,)).fetchone()
    if powerful is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    elif powerful[0]:
        raise Conflict(
            f"app_role: {name} is an administrator, or owns tables or the database",
            hint="name another role, which will be made",
        )
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (_IAM,)).fetchone():
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(_IAM), sql.Identifier(name))
        connection.execute(grant)
