"""The release archive: plain templates of every configuration, deployable with nothing but CloudFormation.

    signalbox-VERSION/statement.json                     in-toto Statement: the SHA-256 of every other file
    signalbox-VERSION/CONFIGURATION/stacks.json          stacks in the order of deployment
    signalbox-VERSION/CONFIGURATION/STACK.template.json

The same matrix and version give the same bytes: sorted names, no times, no owner.
"""

import gzip
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from signalbox_guards.assembly import Assembly, Matrix, Stack, checked, parse_json, read_bytes
from signalbox_guards.canonical import Json, digest, pretty
from signalbox_guards.errors import BadInput
from signalbox_guards.templates import plain, refuse_bootstrap

STATEMENT = "statement.json"
STACKS = "stacks.json"
_TEMPLATE = ".template.json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://signalbox.dev/release-templates/v1"
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")


@dataclass(frozen=True)
class Archive:
    """The files of a release by name below `signalbox-VERSION/`."""

    version: str
    files: Mapping[str, bytes]


def _stacks(assembly: Assembly) -> list[Json]:
    return [
        {
            "name": stack.name,
            "stack_name": stack.stack_name,
            "account": stack.account,
            "region": stack.region,
            "termination_protection": stack.termination_protection,
            "template": stack.name + _TEMPLATE,
        }
        for stack in assembly.stacks.values()
    ]


def _statement(version: str, files: Mapping[str, bytes]) -> Json:
    return {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest(files[name])}} for name in sorted(files)],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {"version": version, "configurations": sorted({name.partition("/")[0] for name in files})},
    }


def build(matrix: Matrix, version: str) -> bytes:
    """The archive's bytes. Raises Refused when a template needs `cdk bootstrap`, BadInput on a bad version."""
    if not _VERSION.fullmatch(version):
        raise BadInput(f"--version: wanted letters, digits, '.', '+', '-', at most 64, got {version!r}")
    files: dict[str, bytes] = {}
    for name, assembly in matrix.items():
        files[f"{name}/{STACKS}"] = pretty(_stacks(assembly)).encode()
        for stack in assembly.stacks.values():
            file = f"{name}/{stack.name}{_TEMPLATE}"
            template = plain(stack.template)
            refuse_bootstrap(template, file)
            files[file] = pretty(template).encode()
    files[STATEMENT] = pretty(_statement(version, files)).encode()
    return pack(version, files)


def pack(version: str, files: Mapping[str, bytes]) -> bytes:
    """A deterministic tar.gz of `files` below `signalbox-VERSION/`."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(f"signalbox-{version}/{name}")  # its times and owner are zero
            member.size = len(files[name])
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(files[name]))
    return gzip.compress(raw.getvalue(), mtime=0)


def unpack(path: Path) -> Archive:
    """The files in the archive at `path`. Raises BadInput on what is not an archive of this form."""
    content = read_bytes(path, "a release archive")
    files: dict[str, bytes] = {}
    tops: set[str] = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                file = tar.extractfile(member) if member.isfile() else None
                name = "/".join(parts[1:])
                if file is None or len(parts) < 2 or ".." in parts or name in files:  # noqa: PLR2004 - folder, file
                    raise BadInput(f"{path}: wanted plain files in one folder, each once, got {member.name!r}")
                tops.add(parts[0])
                files[name] = file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadInput(f"{path}: wanted a release archive (tar.gz), got: {error}") from error
    if len(tops) != 1 or not (top := tops.pop()).startswith("signalbox-"):
        raise BadInput(f"{path}: wanted everything in a folder signalbox-VERSION, got {sorted(tops)}")
    return Archive(top.removeprefix("signalbox-"), files)


def _stack(where: str, row: Json, template: bytes) -> Stack:
    return Stack(
        name=row["name"],
        stack_name=row["stack_name"],
        account=row["account"],
        region=row["region"],
        termination_protection=row["termination_protection"],
        template=checked(parse_json(template, where), where),
    )


def read_release(path: Path) -> Matrix:
    """The configurations in a release archive. Raises BadInput."""
    archive = unpack(path)
    found: dict[str, Assembly] = {}
    for name in sorted(archive.files):
        configuration, _, file = name.partition("/")
        if file != STACKS:
            continue
        try:
            rows: list[Json] = json.loads(archive.files[name])
            stacks = {
                row["name"]: _stack(
                    f"{path}: {configuration}/{row['template']}",
                    row,
                    archive.files[f"{configuration}/{row['template']}"],
                )
                for row in rows
            }
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path}: {name}: wanted a list of stacks with their templates, got: {error!r}") from error
        found[configuration] = Assembly(stacks)
    if not found:
        raise BadInput(f"{path}: wanted at least one configuration, got none")
    return found
