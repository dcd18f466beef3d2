"""The object store behind one small interface: where payloads live, and the only place they live in.

Objects are named by full URI; every call refuses a URI outside of the store's prefix (OutsideStore), so that no
request can reach another file or bucket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from signalbox_dataplane.errors import OutsideStore


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedUrl:
    """A URL that needs no other credential until `expires_at` (UTC), and headers that must go with it."""

    url: str
    expires_at: datetime
    headers: dict[str, str] = field(default_factory=dict[str, str])


class ObjectStore(Protocol):
    """All calls may raise StoreError; reads of a missing object raise ObjectMissing."""

    @property
    def prefix(self) -> str:
        """URI under which everything lies, without a slash at the end."""
        ...

    async def get(self, uri: str) -> bytes: ...

    async def put(self, uri: str, content: bytes) -> None:
        """Write or replace; readers see all of the old or all of the new content."""
        ...

    async def put_file(self, uri: str, path: Path) -> None: ...

    async def exists(self, uri: str) -> bool: ...

    async def delete(self, uri: str) -> None:
        """Remove; a missing object is no error."""
        ...

    async def sign_upload(self, uri: str, *, md5: bytes, length: int | None, expires_in: timedelta) -> SignedUrl:
        """For a PUT of exactly the content with this MD5 (16 bytes), and this length when given."""
        ...

    async def sign_download(self, uri: str, *, expires_in: timedelta) -> SignedUrl: ...


def join(*parts: str) -> str:
    """Parts of a URI with one slash between them; empty parts are left out."""
    return "/".join(part.strip("/") if i else part.rstrip("/") for i, part in enumerate(parts) if part)


def key_of(uri: str, prefix: str) -> str:
    """Name of the object below `prefix`. Raises OutsideStore for anything but a plain path below it."""
    key = uri.removeprefix(prefix + "/")
    if key == uri or not is_plain(key):
        raise OutsideStore(uri, f"an object below {prefix}/")
    return key


def is_plain(key: str) -> bool:
    """Whether a relative path has only ordinary segments: no `..`, no empty one, no control characters."""
    segments = key.split("/")
    return all(s not in ("", ".", "..") for s in segments) and key.isprintable() and "\\" not in key
