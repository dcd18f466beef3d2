"""`PUT` and `GET /objects/<key>`: signed uploads to and downloads from the directory store.

The signature is the only permission, and it is checked before anything else. Errors are plain sentences; an expired URL
says so in words that the SDK recognises.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import time
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from signalbox_dataplane.errors import OutsideStore
from signalbox_dataplane.store.file import FileStore
from signalbox_dataplane.store.signing import BadSignature, Permit, UrlSigner

# a report is a task's own HTML: it may run its scripts, but as no origin, and nothing guesses its type
SANDBOX = {"content-security-policy": "sandbox allow-scripts", "x-content-type-options": "nosniff"}


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Objects:
    def __init__(self, store: FileStore, signer: UrlSigner, *, limit_bytes: int) -> None:
        self._store = store
        self._signer = signer
        self._limit = limit_bytes

    async def put(self, request: Request) -> Response:
        try:
            permit, path = self._permitted(request)
            await self._receive(request, permit, path)
        except _Refused as refused:
            return PlainTextResponse(str(refused), refused.status)
        return Response(status_code=200)

    async def get(self, request: Request) -> Response:
        try:
            permit, path = self._permitted(request)
        except _Refused as refused:
            return PlainTextResponse(str(refused), refused.status)
        if not path.is_file():
            return PlainTextResponse(f"no object {permit.key}", 404)
        return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0], headers=SANDBOX)

    def _permitted(self, request: Request) -> tuple[Permit, Path]:
        key = request.path_params["key"]
        method = "GET" if request.method == "HEAD" else request.method
        try:
            permit = self._signer.check(method=method, key=key, query=dict(request.query_params), now=time.time())
            return permit, self._store.path(key)
        except BadSignature as error:
            raise _Refused(403, str(error)) from error
        except OutsideStore as error:
            raise _Refused(400, str(error)) from error

    async def _receive(self, request: Request, permit: Permit, path: Path) -> None:
        if request.headers.get("content-md5", "") != permit.md5:
            raise _Refused(403, "Content-MD5 is not the one that was signed")
        temporary = await run_in_threadpool(self._store.temporary_beside, permit.key)
        try:
            length, md5 = await self._spool(request, temporary)
            if permit.length is not None and length != permit.length:
                raise _Refused(400, f"got {length} bytes, signed were {permit.length}")
            if md5 != permit.md5:
                raise _Refused(400, "the content does not have the MD5 that was signed")
            temporary.replace(path)
        except ClientDisconnect:
            raise _Refused(400, "RequestTimeout: the body did not arrive whole") from None
        finally:
            temporary.unlink(missing_ok=True)

    async def _spool(self, request: Request, into: Path) -> tuple[int, str]:
        digest, length = hashlib.md5(usedforsecurity=False), 0
        with into.open("wb") as file:
            async for chunk in request.stream():
                length += len(chunk)
                if length > self._limit:
                    raise _Refused(413, f"got more than {self._limit} bytes, the limit of an upload")
                digest.update(chunk)
                file.write(chunk)
        return length, base64.b64encode(digest.digest()).decode()
