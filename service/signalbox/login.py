"""With what this process logs in to its database: as libpq finds it, or a fresh token of AWS IAM for each connection.

A token is a presigned request: made here without asking AWS, good for 15 minutes, and only for opening a connection.
botocore renews the credentials of the task behind it. A token goes to the server as it is, so that the certificate of
the server has to be verified. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Protocol, cast

from signalbox.errors import Invalid, Unavailable
from signalbox.settings import DatabaseLogin, Settings
from signalbox.store import connection
from signalbox.store.connection import Password

_VERIFIED = "verify-full"


class _Signer(Protocol):
    def generate_db_auth_token(self, *, DBHostname: str, Port: int, DBUsername: str) -> str: ...  # noqa: N803  # AWS's


def password(settings: Settings, environment: Mapping[str, str] = os.environ) -> Password | None:
    """Gives a token each time it is called, raising Unavailable; None to leave it to libpq. Raises Invalid."""
    if settings.database_login is DatabaseLogin.PASSWORD:
        return None
    own = connection.given(settings.database_url.get_secret_value())
    host = own.get("host") or environment.get("PGHOST", "")
    user = own.get("user") or environment.get("PGUSER", "")
    port = own.get("port") or environment.get("PGPORT", "5432")
    mode = own.get("sslmode") or environment.get("PGSSLMODE", "")
    region = environment.get("AWS_REGION", "")
    needed = {"PGHOST": host, "PGUSER": user, "AWS_REGION": region}
    if missing := [name for name, value in needed.items() if not value]:
        raise Invalid(f"SIGNALBOX_DATABASE_LOGIN=iam: needs {', '.join(missing)}")
    if mode != _VERIFIED:
        raise Invalid(
            f"SIGNALBOX_DATABASE_LOGIN=iam: wanted PGSSLMODE={_VERIFIED}, got {mode or 'nothing'}",
            hint="a token goes to the server as it is: it must be the right one",
        )
    signer = _signer(region)

    async def token() -> str:
        # in a thread: now and then botocore asks for new credentials first
        return await asyncio.to_thread(_token, signer, str(host), int(port), str(user))

    return token


def _signer(region: str) -> _Signer:
    try:
        from botocore.session import get_session  # noqa: PLC0415  # half a second, and only on AWS
    except ImportError as e:
        raise Invalid("SIGNALBOX_DATABASE_LOGIN=iam: botocore is not installed", hint="signalbox[aws]") from e
    return cast("_Signer", get_session().create_client("rds", region_name=region))


def _token(signer: _Signer, host: str, port: int, user: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # as above

    try:
        return signer.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    except (BotoCoreError, ClientError) as e:
        raise Unavailable("AWS gives no credentials to log in to the database with", detail=str(e)) from e
