"""Signed URLs of the directory store: HMAC-SHA256 over everything that the URL allows.

A signature binds method, object, expiry, and for uploads the MD5 and length of the content. Changing any of them, or
using the URL after its time, is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

KEY_BYTES = 32


class BadSignature(Exception):
    """The URL allows something else, or nothing; the message says what and is safe to show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """What one URL allows. `md5` is base64 as in Content-MD5, empty for downloads; `length` None leaves it open."""

    method: str
    key: str
    expires: int
    md5: str = ""
    length: int | None = None


class UrlSigner:
    """Makes and checks URLs below `<endpoint>/objects/`."""

    def __init__(self, endpoint: str, key: bytes) -> None:
        self._endpoint = endpoint
        self._key = key

    def url(self, permit: Permit) -> str:
        query = {"expires": str(permit.expires), "signature": self._signature(permit)}
        if permit.md5:
            query["md5"] = permit.md5
        if permit.length is not None:
            query["length"] = str(permit.length)
        return f"{self._endpoint}/objects/{quote(permit.key)}?{urlencode(query)}"

    def check(self, *, method: str, key: str, query: dict[str, str], now: float) -> Permit:
        """The permit of a request. Raises BadSignature; expiry is told only to holders of a genuine URL."""
        try:
            length = int(query["length"]) if "length" in query else None
            permit = Permit(
                method=method, key=key, expires=int(query["expires"]), md5=query.get("md5", ""), length=length
            )
        except (KeyError, ValueError):
            raise BadSignature("the URL is not signed") from None
        given = query.get("signature", "")
        if not given.isascii() or not hmac.compare_digest(given, self._signature(permit)):
            raise BadSignature("the signature does not allow this request")
        if now >= permit.expires:
            raise BadSignature("the signed URL has expired: Request has expired")
        return permit

    def _signature(self, permit: Permit) -> str:
        length = "" if permit.length is None else str(permit.length)
        text = "\n".join((permit.method, permit.key, str(permit.expires), permit.md5, length))
        digest = hmac.new(self._key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def signing_key(path: Path) -> bytes:
    """The key kept in `path` (owner-only); made on first use, so that URLs survive a restart."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    key = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
    return key
