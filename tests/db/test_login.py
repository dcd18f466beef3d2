"""Logins with tokens: a fresh one for each connection, signed as RDS wants it, and never told to anyone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from botocore.exceptions import NoCredentialsError
from psycopg import sql
from structlog.testing import capture_logs

from signalbox import login
from signalbox.control.hub import Hub
from signalbox.errors import Invalid, Unavailable
from signalbox.settings import DatabaseLogin, Settings
from signalbox.store.db import Database
from support.database import Server
from support.engine import TTL

ROLE = "logs_in_with_tokens"
IAM = Settings(database_login=DatabaseLogin.IAM)
ON_AWS = {
    "PGHOST": "db.cluster-x.us-east-1.rds.amazonaws.com",
    "PGUSER": "signalbox_app",
    "PGSSLMODE": "verify-full",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-task")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)


class Tokens:
    """Stands in for AWS: each token is a new one, and the server takes only the newest."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.given: list[str] = []

    async def __call__(self) -> str:
        token = f"token-{len(self.given)}"
        self.given.append(token)
        await asyncio.to_thread(self.accept, token)
        return token

    def accept(self, token: str) -> None:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(token))
            connection.execute(statement)


@pytest.fixture
def tokens(postgres: Server) -> Generator[Tokens]:
    """A role that has to show its password; the server trusts all others."""
    rules = postgres.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        rules.write_text(f"local all {ROLE} scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield Tokens(postgres)
        finally:
            rules.write_text(before)
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ROLE)))


async def test_each_connection_has_a_token_of_its_own(database_url: str, tokens: Tokens) -> None:
    url = database_url.replace("user=signalbox", f"user={ROLE}")
    for number in range(3):
        async with Database(url, size=1, password=tokens) as db, db.autocommit() as tx:
            assert await (await tx.execute("SELECT current_user")).fetchone() == (ROLE,)
        assert tokens.given == [f"token-{n}" for n in range(number + 1)]
    hints = asyncio.create_task(Hub(url, stream_max_age=TTL, password=tokens).run())
    async with asyncio.timeout(5):
        while len(tokens.given) < 5:  # noqa: ASYNC110  # the hub tells nobody that it is connected
            await asyncio.sleep(0.02)
    hints.cancel()


async def test_an_open_connection_outlives_its_token_and_a_broken_one_gets_a_new_one(
    database_url: str, postgres: Server, tokens: Tokens
) -> None:
    url = database_url.replace("user=signalbox", f"user={ROLE}")
    async with Database(url, size=1, password=tokens) as db:
        async with db.autocommit() as tx:
            await tx.execute("SELECT 1")
        tokens.accept("rotated away")
        async with db.autocommit() as tx:
            await tx.execute("SELECT 1")
        before = len(tokens.given)
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,))
        async with asyncio.timeout(10):
            while not await _answers(db):  # noqa: ASYNC110  # nothing tells of a new connection
                await asyncio.sleep(0.05)

    assert len(tokens.given) > before


async def _answers(db: Database) -> bool:
    try:
        async with db.autocommit() as tx:
            await tx.execute("SELECT 1")
    except Unavailable:
        return False
    return True


@pytest.mark.usefixtures("tokens")
async def test_a_token_that_is_refused_is_told_to_nobody(
    database_url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    url = database_url.replace("user=signalbox", f"user={ROLE}")
    token = "a-token-that-nobody-may-see"

    async def refused() -> str:
        return token

    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        hub = Hub(url, stream_max_age=TTL, password=refused)
        hints = asyncio.create_task(hub.run())
        async with Database(url, size=3, password=refused) as db:
            with pytest.raises(Unavailable) as error:
                async with db.autocommit():
                    pass
        hints.cancel()

    said = caplog.text + repr(logs) + repr(error.value.__dict__) + str(error.value) + "".join(capfd.readouterr())
    assert "password authentication failed" in said
    assert token not in said


@pytest.mark.usefixtures("credentials")
async def test_a_token_is_a_presigned_connect_of_this_user_to_this_host_for_fifteen_minutes() -> None:
    password = login.password(IAM, ON_AWS)
    assert password is not None

    token = await password()

    url = urlsplit(f"https://{token}")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.hostname, url.port) == (ON_AWS["PGHOST"], 5432)
    assert (query["Action"], query["DBUser"], query["X-Amz-Expires"]) == ("connect", "signalbox_app", "900")
    assert query["X-Amz-Credential"].endswith("/us-east-1/rds-db/aws4_request")
    assert "secret-of-the-task" not in token


async def test_without_credentials_the_database_is_unavailable_and_connecting_is_tried_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Signer:
        def generate_db_auth_token(self, **_: object) -> str:
            raise NoCredentialsError

    def signer(region: str) -> Signer:
        assert region == ON_AWS["AWS_REGION"]
        return Signer()

    monkeypatch.setattr(login, "_signer", signer)
    password = login.password(IAM, ON_AWS)
    with capture_logs() as logs:
        hints = asyncio.create_task(Hub(database_url, stream_max_age=TTL, password=password).run())
        async with Database(database_url, size=3, password=password) as db:
            with pytest.raises(Unavailable, match="does not answer"):
                async with db.autocommit():
                    pass
        assert not hints.done()
        hints.cancel()

    assert any("Unable to locate credentials" in log.get("error", "") for log in logs), logs


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_REGION": ""}, "needs AWS_REGION"),
        ({"PGHOST": "", "PGUSER": ""}, "needs PGHOST, PGUSER"),
        ({"PGSSLMODE": "require"}, "wanted PGSSLMODE=verify-full, got require"),
        ({"PGSSLMODE": ""}, "wanted PGSSLMODE=verify-full, got nothing"),
    ],
)
def test_what_a_token_needs_is_asked_for_at_the_start(changed: dict[str, str], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        login.password(IAM, ON_AWS | changed)


def test_libpq_finds_the_password_unless_iam_is_asked_for() -> None:
    assert login.password(Settings(), ON_AWS) is None
