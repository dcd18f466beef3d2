"""A bucket of a real S3 server (moto) on loopback."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class Bucket:
    name: str
    endpoint: str
    client: Any

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()


@contextmanager
def s3_bucket() -> Generator[Bucket]:
    """A new bucket of a new server; AWS credentials and region must be set in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
        # the stubs type each service's client by an overload
        client: Any = boto3.client("s3", endpoint_url=endpoint)  # pyright: ignore[reportUnknownMemberType]
        bucket = Bucket(f"b{uuid.uuid4().hex[:12]}", endpoint, client)
        client.create_bucket(Bucket=bucket.name)
        try:
            yield bucket
        finally:
            client.close()
    finally:
        server.stop()
