"""Signing an archive and verifying it: the envelope lies beside it, `FILE.tar.gz.dsse.json`."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from signalbox_guards.assembly import read_bytes
from signalbox_guards.canonical import digest
from signalbox_guards.errors import BadInput, Refused
from signalbox_guards.release.archive import STATEMENT, unpack
from signalbox_guards.release.signing import Signer, envelope, open_envelope, statement_digests


def envelope_path(archive: Path) -> Path:
    return archive.with_name(archive.name + ".dsse.json")


def sign(archive: Path, signer: Signer) -> Path:
    """Write the envelope beside the archive and return its path. Raises BadInput, Refused."""
    files = unpack(archive).files
    if STATEMENT not in files:
        raise BadInput(f"{archive}: wanted {STATEMENT} in it, got none")
    _compare(archive, files[STATEMENT])
    path = envelope_path(archive)
    path.write_text(envelope(files[STATEMENT], signer))
    return path


def verify(archive: Path, key: ec.EllipticCurvePublicKey) -> int:
    """How many files the archive holds, all as signed. Raises Refused naming the first that is wrong; BadInput."""
    beside = envelope_path(archive)
    payload = open_envelope(read_bytes(beside, "the signature of the archive"), key, str(beside))
    return _compare(archive, payload)


def _compare(archive: Path, statement: bytes) -> int:
    found = unpack(archive).files
    wanted = {**statement_digests(statement, str(archive)), STATEMENT: digest(statement)}
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise Refused(f"{archive}: {name}: wanted a file of SHA-256 {wanted[name]}, got none")
        if name not in wanted:
            raise Refused(f"{archive}: {name}: wanted no such file, got one that is not in the statement")
        if (got := digest(found[name])) != wanted[name]:
            raise Refused(f"{archive}: {name}: wanted SHA-256 {wanted[name]}, got {got}")
    return len(found)
