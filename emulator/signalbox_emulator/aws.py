"""The emulated account as boto3 sees it, from inside of the server's process.

A client made here speaks the service's public API, request and answer in wire format, to the same application that
serves the port; only the socket is left out. So nothing here can store what the API would not.
"""

from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.loaders import Loader
from werkzeug.test import EnvironBuilder, run_wsgi_app

ACCOUNT = "000000000000"

MOTO_ENVIRONMENT = {
    "MOTO_ACCOUNT_ID": ACCOUNT,
    # Roles attach AWS's own policies, of which moto has a copy.
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
}
"""What a process sets before it imports moto."""

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Account:
    """Clients of one emulated account; safe to share between threads."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app
        # boto3's overloads name every service; here the name is a value.
        self._session: Any = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="emulator")  # noqa: S106 - no secret: moto accepts any
        self.models: Loader = self._session._session.get_component("data_loader")  # noqa: SLF001 - boto3 has no other way to it
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def client(self, service: str, region: str) -> Any:
        """Return the boto3 client of `service` in `region`. It never retries: an error is an error."""
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._connect(service, region)
            return self._clients[service, region]

    def reset(self) -> None:
        """Empty the account."""
        run_wsgi_app(self._app, EnvironBuilder(path="/moto-api/reset", method="POST").get_environ(), buffered=True)

    def _connect(self, service: str, region: str) -> Any:
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, parameter_validation=True)
        client = self._session.client(service, region_name=region, endpoint_url="http://localhost", config=config)
        client.meta.events.register("before-send.*", self._answer)
        return client

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        body: Any = request.body
        if hasattr(body, "read"):
            body = body.read()
        content: bytes = body.encode() if isinstance(body, str) else body or b""
        builder = EnvironBuilder(
            path=request.url,
            method=request.method,
            headers=[(k, v.decode() if isinstance(v, bytes) else str(v)) for k, v in request.headers.items()],
            data=content,
            # The HTTP client would say it of an empty body too, and S3 refuses to do without.
            environ_overrides={"CONTENT_LENGTH": str(len(content))},
        )
        chunks, status, headers = run_wsgi_app(self._app, builder.get_environ(), buffered=True)
        answered = HTTPHeaders.from_dict(dict(headers))
        return AWSResponse(request.url, int(status.split()[0]), answered, _Raw(b"".join(chunks)))


class _Raw:
    """A body as urllib3 hands it out."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterable[bytes]:
        yield self._body

    def read(self, _amount: int | None = None) -> bytes:
        body, self._body = self._body, b""
        return body
