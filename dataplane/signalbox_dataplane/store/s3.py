"""The object store as a bucket, through boto3 in threads of its own. Uploads and downloads go straight to S3."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from signalbox_dataplane.errors import ObjectMissing, StoreError
from signalbox_dataplane.store import SignedUrl, key_of

CONNECTIONS = 32
MISSING = ("404", "NoSuchKey", "NotFound")
Answer = TypeVar("Answer")


class S3Store:
    """Objects of one bucket below one prefix, with the usual AWS credentials of the environment."""

    def __init__(self, prefix: str, *, endpoint_url: str | None) -> None:
        self._prefix = prefix
        parts = urlsplit(prefix)
        self._bucket = parts.netloc
        self._below = parts.path.strip("/")
        # path style: endpoints other than AWS rarely resolve bucket names as hosts; v4: the signature covers the MD5
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            max_pool_connections=CONNECTIONS,
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 4},
        )
        # boto3's stubs type each client by overloads that a dynamic endpoint does not need
        self._client: Any = boto3.client("s3", endpoint_url=endpoint_url, config=config)  # pyright: ignore[reportUnknownMemberType]
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="s3")

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    @property
    def prefix(self) -> str:
        return self._prefix

    async def get(self, uri: str) -> bytes:
        return await self._call(uri, lambda at: self._client.get_object(**at)["Body"].read())

    async def put(self, uri: str, content: bytes) -> None:
        await self._call(uri, lambda at: self._client.put_object(**at, Body=content))

    async def put_file(self, uri: str, path: Path) -> None:
        await self._call(uri, lambda at: self._client.upload_file(str(path), at["Bucket"], at["Key"]))

    async def exists(self, uri: str) -> bool:
        try:
            await self._call(uri, lambda at: self._client.head_object(**at))
        except ObjectMissing:
            return False
        return True

    async def delete(self, uri: str) -> None:
        await self._call(uri, lambda at: self._client.delete_object(**at))

    async def sign_upload(self, uri: str, *, md5: bytes, length: int | None, expires_in: timedelta) -> SignedUrl:
        extra: dict[str, Any] = {"ContentMD5": base64.b64encode(md5).decode()}
        if length is not None:
            extra["ContentLength"] = length
        return await self._signed("put_object", uri, expires_in, extra)

    async def sign_download(self, uri: str, *, expires_in: timedelta) -> SignedUrl:
        return await self._signed("get_object", uri, expires_in, {})

    async def _signed(self, operation: str, uri: str, expires_in: timedelta, extra: dict[str, Any]) -> SignedUrl:
        seconds = int(expires_in.total_seconds())
        expires_at = datetime.now(UTC) + expires_in
        url = await self._call(
            uri,
            lambda at: str(self._client.generate_presigned_url(operation, Params={**at, **extra}, ExpiresIn=seconds)),
        )
        return SignedUrl(url=url, expires_at=expires_at)

    async def _call(self, uri: str, use: Callable[[dict[str, str]], Answer]) -> Answer:
        key = key_of(uri, self._prefix)
        at = {"Bucket": self._bucket, "Key": f"{self._below}/{key}" if self._below else key}
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, use, at)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in MISSING:
                raise ObjectMissing(uri) from None
            raise StoreError(f"S3 refused {uri}: {error}") from error
        except (BotoCoreError, S3UploadFailedError) as error:
            raise StoreError(f"S3 did not answer for {uri}: {error}") from error
