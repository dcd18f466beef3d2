"""The object store as a directory, for one machine. Uploads and downloads pass the dataproxy's own `/objects`."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from signalbox_dataplane.errors import ObjectMissing, OutsideStore, StoreError
from signalbox_dataplane.store import SignedUrl, is_plain, key_of
from signalbox_dataplane.store.signing import Permit, UrlSigner


class FileStore:
    """Objects are files below one directory; a write becomes visible whole, by rename."""

    def __init__(self, prefix: str, signer: UrlSigner) -> None:
        self._prefix = prefix
        self._root = Path(urlsplit(prefix).path)
        self._root.mkdir(parents=True, exist_ok=True)
        self._real_root = self._root.resolve()
        self._signer = signer

    @property
    def prefix(self) -> str:
        return self._prefix

    def path(self, key: str) -> Path:
        """File of an object. Raises OutsideStore, also for a link that leads out of the directory."""
        path = self._root / key
        if not is_plain(key) or not path.resolve().is_relative_to(self._real_root):
            raise OutsideStore(key, f"an object below {self._prefix}/")
        return path

    def uri(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    async def get(self, uri: str) -> bytes:
        return await self._read(uri, Path.read_bytes)

    async def put(self, uri: str, content: bytes) -> None:
        await self._write(uri, lambda temporary: temporary.write_bytes(content))

    async def put_file(self, uri: str, path: Path) -> None:
        await self._write(uri, lambda temporary: shutil.copyfile(path, temporary))

    async def exists(self, uri: str) -> bool:
        return await asyncio.to_thread(self._located(uri).is_file)

    async def delete(self, uri: str) -> None:
        await asyncio.to_thread(self._located(uri).unlink, missing_ok=True)

    async def sign_upload(self, uri: str, *, md5: bytes, length: int | None, expires_in: timedelta) -> SignedUrl:
        return self._signed("PUT", uri, expires_in, md5=base64.b64encode(md5).decode(), length=length)

    async def sign_download(self, uri: str, *, expires_in: timedelta) -> SignedUrl:
        return self._signed("GET", uri, expires_in)

    def temporary_beside(self, key: str) -> Path:
        """A new empty file on the same file system as the object, for a rename onto it."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".upload-", dir=target.parent)
        os.close(descriptor)
        return Path(name)

    def _located(self, uri: str) -> Path:
        return self.path(key_of(uri, self._prefix))

    async def _read(self, uri: str, read: Callable[[Path], bytes]) -> bytes:
        try:
            return await asyncio.to_thread(read, self._located(uri))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectMissing(uri) from None
        except OSError as error:
            raise StoreError(f"cannot read {uri}: {error}") from error

    async def _write(self, uri: str, fill: Callable[[Path], object]) -> None:
        key = key_of(uri, self._prefix)

        def write() -> None:
            temporary = self.temporary_beside(key)
            try:
                fill(temporary)
                temporary.replace(self.path(key))
            finally:
                temporary.unlink(missing_ok=True)

        try:
            await asyncio.to_thread(write)
        except OSError as error:
            raise StoreError(f"cannot write {uri}: {error}") from error

    def _signed(
        self, method: str, uri: str, expires_in: timedelta, *, md5: str = "", length: int | None = None
    ) -> SignedUrl:
        key = key_of(uri, self._prefix)
        self.path(key)
        expires = int(time.time() + expires_in.total_seconds())
        permit = Permit(method=method, key=key, expires=expires, md5=md5, length=length)
        return SignedUrl(url=self._signer.url(permit), expires_at=datetime.fromtimestamp(expires, UTC))
