"""Reports in S3, where whoever collects can add and not take away.

The bucket decides how an object is encrypted and for how long it is locked (the evidence stack sets both as defaults of
the bucket). An object that exists is never written again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # a client of a service chosen at run time has no narrower type

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel

from signalbox_evidence.errors import BadInput, Denied

_PLACE = re.compile(r"s3://([a-z0-9.-]{3,63})(?:/(.+?))?/?")
_TYPES = {".json": "application/json", ".html": "text/html", ".gz": "application/gzip"}


def _add_only(model: OperationModel, **_: object) -> None:
    if model.name != "PutObject":
        raise RuntimeError(f"{model.name}: evidence is only ever added")


@dataclass(frozen=True)
class S3Store:
    bucket: str
    prefix: str

    @classmethod
    def of(cls, place: str) -> "S3Store":
        """Return the store at s3://BUCKET/PREFIX. Raises BadInput."""
        match = _PLACE.fullmatch(place)
        if match is None:
            raise BadInput(f"--store: wanted s3://BUCKET/PREFIX, got {place!r}")
        return cls(match[1], match[2] or "")

    def put(self, folder: Path) -> str:
        """Send every file of a report and return where they are. Raises Denied.

        `report.json` goes last: where it lies, the report is whole.
        """
        try:
            session: Any = boto3.Session()
            session.events.register("before-call", _add_only)
            client = session.client("s3")
            for file in _files(folder):
                client.put_object(
                    Bucket=self.bucket,
                    Key=self._key(folder, file),
                    Body=file.read_bytes(),
                    ContentType=_TYPES[file.suffix],
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                )
        except (ClientError, BotoCoreError) as error:
            raise Denied(f"s3://{self.bucket}/{self.prefix}: the report was not stored: {error}") from error
        return f"s3://{self.bucket}/{self._key(folder, folder / 'report.json')}"

    def _key(self, folder: Path, file: Path) -> str:
        parts = [self.prefix, folder.name, str(file.relative_to(folder))]
        return "/".join(part for part in parts if part)


def _files(folder: Path) -> Iterator[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    yield from (file for file in files if file.name != "report.json")
    yield folder / "report.json"
