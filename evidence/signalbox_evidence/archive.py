"""Reports on disk: one folder for each run, whole or not there at all.

A run is written into a hidden folder beside its place, synced, and renamed; `latest` is replaced by renaming a new link
over it. So a reader, or a crash at any moment, never sees a half-written report.
"""

import gzip
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from signalbox_evidence.errors import BadInput
from signalbox_evidence.page import render
from signalbox_evidence.report import Report


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_name(output: Path, stamp: str) -> str:
    names = (stamp if number == 1 else f"{stamp}-{number}" for number in range(1, 1000))
    return next(name for name in names if not (output / name).exists())


def _fill(folder: Path, report: Report, raw: Mapping[str, bytes]) -> None:
    if raw:
        (folder / "raw").mkdir()
        for sha256, content in raw.items():
            _write(folder / "raw" / f"{sha256}.json.gz", gzip.compress(content, mtime=0))
        _sync(folder / "raw")
    _write(folder / "report.json", report.model_dump_json(indent=2).encode() + b"\n")
    _write(folder / "report.html", render(report).encode())
    _sync(folder)


def save(output: Path, report: Report, raw: Mapping[str, bytes], started: datetime) -> Path:
    """Write the run under `output` (made if it is missing), point `latest` at it, and return its folder.

    `raw`: sha256 -> canonical JSON of an answer, stored gzipped as `raw/SHA256.json.gz`.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        name = _free_name(output, started.strftime("%Y%m%dT%H%M%SZ"))
        draft = output / f".{name}.{os.getpid()}"
        draft.mkdir()
        try:
            _fill(draft, report, raw)
            draft.rename(output / name)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        link = output / f".latest.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(output / "latest")
        _sync(output)
    except OSError as error:
        raise BadInput(f"{output}: wanted a folder to write reports to, got: {error}") from error
    return output / name
