"""One contract, both stores: a directory, and a bucket of a real S3 server (moto) on loopback."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from signalbox_dataplane.errors import ObjectMissing, OutsideStore, StoreError
from signalbox_dataplane.store import ObjectStore
from signalbox_dataplane.store.file import FileStore
from signalbox_dataplane.store.s3 import S3Store
from signalbox_dataplane.store.signing import BadSignature, Permit, UrlSigner, signing_key
from support.s3_bucket import s3_bucket

CONTENT = b"content"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).digest()
LIFE = timedelta(minutes=1)


@pytest.fixture
def s3_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with s3_bucket() as bucket:
        store = S3Store(f"s3://{bucket.name}/some/prefix", endpoint_url=bucket.endpoint)
        yield store
        store.close()


@pytest.fixture
def file_store(tmp_path: Path) -> FileStore:
    return FileStore(f"file://{tmp_path}/store", UrlSigner("http://localhost:1", b"key"))


@pytest.fixture(params=["file_store", "s3_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    return request.getfixturevalue(request.param)


async def test_what_was_put_is_there_until_it_is_deleted(store: ObjectStore, tmp_path: Path) -> None:
    first, second = f"{store.prefix}/a/b/first", f"{store.prefix}/a/second.pb"
    (tmp_path / "second").write_bytes(b"from a file")

    await store.put(first, b"old")
    await store.put(first, CONTENT)
    await store.put_file(second, tmp_path / "second")

    assert await store.get(first) == CONTENT
    assert await store.get(second) == b"from a file"
    assert await store.exists(first)
    await store.delete(first)
    await store.delete(first)
    assert not await store.exists(first)


async def test_a_missing_object_is_told_from_an_absent_store(store: ObjectStore) -> None:
    for uri in (f"{store.prefix}/nothing", f"{store.prefix}/a/nothing"):
        with pytest.raises(ObjectMissing):
            await store.get(uri)
    await store.put(f"{store.prefix}/file", b"")
    assert await store.get(f"{store.prefix}/file") == b""


@pytest.mark.parametrize(
    "uri",
    ["/..", "/a/../../b", "/a/./b", "/a//b", "/", "", "x/b", "/a\nb", "/a\x00b", "/a\\..\\b"],
)
async def test_what_is_no_plain_path_below_the_prefix_is_refused(store: ObjectStore, uri: str) -> None:
    outside = store.prefix + uri
    for call in (store.get(outside), store.put(outside, b""), store.exists(outside), store.delete(outside)):
        with pytest.raises(OutsideStore):
            await call
    with pytest.raises(OutsideStore):
        await store.sign_download(outside, expires_in=LIFE)
    with pytest.raises(OutsideStore):
        await store.get("s3://other/object")


async def test_signed_urls_name_their_end(store: ObjectStore) -> None:
    uri = f"{store.prefix}/object"
    for signed in (
        await store.sign_upload(uri, md5=MD5, length=None, expires_in=LIFE),
        await store.sign_download(uri, expires_in=LIFE),
    ):
        assert abs(signed.expires_at - datetime.now(UTC) - LIFE) < timedelta(seconds=5)


async def test_a_signed_url_of_s3_takes_and_gives_the_object(s3_store: S3Store) -> None:
    uri = f"{s3_store.prefix}/signed.bin"
    upload = await s3_store.sign_upload(uri, md5=MD5, length=len(CONTENT), expires_in=LIFE)
    download = await s3_store.sign_download(uri, expires_in=LIFE)
    headers = {"content-md5": base64.b64encode(MD5).decode()}

    async with httpx.AsyncClient() as client:
        put = await client.put(upload.url, content=CONTENT, headers=headers | upload.headers)
        got = await client.get(download.url)

    assert (put.status_code, got.content) == (200, CONTENT)
    assert "content-md5" in httpx.URL(upload.url).params["X-Amz-SignedHeaders"]


async def test_an_absent_s3_server_is_a_store_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION"):
        monkeypatch.setenv(f"AWS_{name}", "us-east-1")
    store = S3Store("s3://bucket/prefix", endpoint_url="http://127.0.0.1:1")

    with pytest.raises(StoreError):
        await store.exists("s3://bucket/prefix/a")
    store.close()


async def test_a_link_out_of_the_directory_is_not_followed(tmp_path: Path, file_store: FileStore) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "store/link").symlink_to(tmp_path)

    with pytest.raises(OutsideStore):
        await file_store.get(f"{file_store.prefix}/link/secret")


def test_a_signature_is_bound_to_all_that_it_allows() -> None:
    signer = UrlSigner("http://localhost:1", b"key")
    permit = Permit(method="PUT", key="a/b", expires=100, md5="md5", length=7)
    query = dict(httpx.URL(signer.url(permit)).params)

    assert signer.check(method="PUT", key="a/b", query=query, now=99.9) == permit
    changed: list[dict[str, object]] = [
        {"method": "GET"}, {"key": "a/c"}, {"now": 100.0}, {"query": {**query, "md5": "other"}},
        {"query": {**query, "length": "8"}}, {"query": {**query, "expires": "101"}}, {"query": {}},
        {"query": {**query, "signature": "é"}}, {"query": {**query, "expires": "soon"}},
    ]  # fmt: skip
    for change in changed:
        arguments: dict[str, object] = {"method": "PUT", "key": "a/b", "query": query, "now": 1.0, **change}
        with pytest.raises(BadSignature):
            signer.check(**arguments)  # pyright: ignore[reportArgumentType]  # keyword by keyword
    with pytest.raises(BadSignature):
        UrlSigner("http://localhost:1", b"other").check(method="PUT", key="a/b", query=query, now=1.0)


def test_the_signing_key_is_owner_only_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "key"

    assert signing_key(path) == signing_key(path)
    assert (path.stat().st_mode & 0o777, len(path.read_bytes())) == (0o600, 32)
