"""Signatures of a release: a DSSE envelope (https://github.com/secure-systems-lab/dsse) over its in-toto Statement.

ECDSA on P-256 with SHA-256, by a key file or by AWS KMS; `keyid` is the SHA-256 of the DER public key in both cases.
"""

import base64
import json
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signalbox_guards.assembly import parse_json, read_bytes
from signalbox_guards.canonical import Json, digest, pretty
from signalbox_guards.errors import BadInput, Refused

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_ALGORITHM = ec.ECDSA(hashes.SHA256())


class Signer(Protocol):
    @property
    def public_key(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """The DER signature of `message`."""
        ...


def _p256(key: object, where: str) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput(f"{where}: wanted a key on the curve P-256, got {type(key).__name__}")
    return key


class PemSigner:
    def __init__(self, path: Path) -> None:
        try:
            key = serialization.load_pem_private_key(read_bytes(path, "a private key (PEM)"), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadInput(f"{path}: wanted an unencrypted private key (PEM) on P-256, got: {error}") from error
        self.public_key = _p256(key.public_key(), str(path))
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadInput(f"{path}: wanted a key on the curve P-256, got {type(key).__name__}")
        self._key = key

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message, _ALGORITHM)


class KmsSigner:
    """Signs in AWS KMS, found as every AWS tool finds it; the region is that of the key's ARN."""

    def __init__(self, arn: str) -> None:
        parts = arn.split(":")
        if len(parts) != 6 or parts[2] != "kms":  # noqa: PLR2004 - the fields of an ARN
            raise BadInput(f"--kms-key: wanted the ARN of a KMS key, got {arn!r}")
        self._arn = arn
        try:
            client: Any = boto3.client("kms", region_name=parts[3])  # pyright: ignore[reportUnknownMemberType]
            answer = client.get_public_key(KeyId=arn)
        except (BotoCoreError, ClientError) as error:
            raise BadInput(f"--kms-key: {arn}: wanted its public key, got: {error}") from error
        self._client = client
        self.public_key = _p256(serialization.load_der_public_key(answer["PublicKey"]), arn)

    def sign(self, message: bytes) -> bytes:
        hasher = hashes.Hash(hashes.SHA256())
        hasher.update(message)
        try:
            answer = self._client.sign(
                KeyId=self._arn,
                Message=hasher.finalize(),  # a message itself may have at most 4096 bytes
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        except (BotoCoreError, ClientError) as error:
            raise BadInput(f"--kms-key: {self._arn}: wanted a signature, got: {error}") from error
        return answer["Signature"]


def read_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """Raises BadInput."""
    try:
        key = serialization.load_pem_public_key(read_bytes(path, "a public key (PEM)"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path}: wanted a public key (PEM) on P-256, got: {error}") from error
    return _p256(key, str(path))


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    return digest(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def _signed_bytes(payload: bytes) -> bytes:
    """The pre-authentication encoding of DSSE v1."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _holds(signature: bytes, payload: bytes, key: ec.EllipticCurvePublicKey) -> bool:
    try:
        key.verify(signature, _signed_bytes(payload), _ALGORITHM)
    except InvalidSignature:
        return False
    return True


def envelope(payload: bytes, signer: Signer) -> str:
    """The DSSE envelope of `payload` as text. Raises Refused if the signer gives a signature that does not hold."""
    signature = signer.sign(_signed_bytes(payload))
    if not _holds(signature, payload, signer.public_key):
        raise Refused(f"wanted a signature of the key {key_id(signer.public_key)}, got one that does not hold")
    return pretty(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key_id(signer.public_key), "sig": base64.b64encode(signature).decode()}],
        }
    )


def open_envelope(content: bytes, key: ec.EllipticCurvePublicKey, where: str) -> bytes:
    """The payload, if a signature of `key` is on it. Raises BadInput on another form, Refused on a wrong signature."""
    table: Json = parse_json(content, where)
    try:
        if table["payloadType"] != PAYLOAD_TYPE:
            raise BadInput(f"{where}: payloadType: wanted {PAYLOAD_TYPE}, got {table['payloadType']!r}")
        payload = base64.b64decode(table["payload"], validate=True)
        signatures = [(row["keyid"], base64.b64decode(row["sig"], validate=True)) for row in table["signatures"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{where}: wanted a DSSE envelope, got: {error!r}") from error
    if any(_holds(signature, payload, key) for _, signature in signatures):
        return payload
    names = [name for name, _ in signatures]
    raise Refused(f"{where}: wanted a signature of the key {key_id(key)}, got none that holds, of {names}")


def statement_digests(payload: bytes, where: str) -> dict[str, str]:
    """SHA-256 by file name, as an in-toto Statement says. Raises BadInput."""
    try:
        return {row["name"]: row["digest"]["sha256"] for row in json.loads(payload)["subject"]}
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{where}: wanted an in-toto Statement, got: {error!r}") from error
