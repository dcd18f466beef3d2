"""The certificate that the service shows: none, the operator's, or one of this process's own.

Public TLS ends at the load balancer, which encrypts anew towards the task and does not check the task's name. For that
hop each process makes a key that never leaves its memory-backed folder.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signalbox.settings import Settings, Tls

_LIFE = timedelta(days=397)  # a task is replaced long before; the longest that clients accept of public certificates


@contextmanager
def certificate_files(settings: Settings) -> Generator[tuple[Path, Path] | None]:
    """Paths of certificate and key in PEM, or None for plain HTTP; a self-signed pair is gone afterwards."""
    match settings.tls:
        case Tls.OFF:
            yield None
        case Tls.FILES:
            assert settings.tls_certificate_file and settings.tls_key_file  # noqa: S101, PT018  # the settings saw to it
            yield settings.tls_certificate_file, settings.tls_key_file
        case Tls.SELF_SIGNED:
            with tempfile.TemporaryDirectory() as folder:
                yield _self_signed(Path(folder))


def _self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signalbox")])
    now = datetime.now(UTC)
    names = [
        *(x509.DNSName(name) for name in ("localhost", socket.gethostname())),
        *(x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", "::1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file
