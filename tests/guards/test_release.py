import base64
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto import mock_aws
from moto.kms.utils import ECDSAPrivateKey

from signalbox_guards.canonical import digest
from signalbox_guards.release.archive import pack, unpack
from support.assemblies import Draft, change
from support.hand_made import resource, stack, write_assembly


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two key pairs, made as the documentation says: release.key, release.pub; other.key, other.pub."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("release", "other"):
        private, public = folder / f"{name}.key", folder / f"{name}.pub"
        make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(private)]
        subprocess.run(make, check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return folder


@pytest.fixture
def release(matrix: Path, keys: Path, tmp_path: Path, command: Any) -> Path:
    """A signed release of the app as it is."""
    file = tmp_path / "signalbox-1.2.3.tar.gz"
    assert command("release", "build", matrix, "--version", "1.2.3", "--output", file).code == 0
    assert command("release", "sign", file, "--key", keys / "release.key").code == 0
    return file


def verify(command: Any, file: Path, keys: Path, name: str = "release") -> Any:
    return command("release", "verify", file, "--public-key", keys / f"{name}.pub")


def test_a_signed_release_verifies(release: Path, keys: Path, pristine: Draft, command: Any) -> None:
    outcome = verify(command, release, keys)

    assert outcome.code == 0
    assert f"{len(pristine.stacks) + 2} files, all as signed" in outcome.out


def test_the_same_matrix_gives_the_same_bytes(matrix: Path, tmp_path: Path, command: Any) -> None:
    one, other = tmp_path / "one.tar.gz", tmp_path / "other.tar.gz"
    command("release", "build", matrix, "--version", "1", "--output", one)
    command("release", "build", matrix, "--version", "1", "--output", other)

    assert one.read_bytes() == other.read_bytes()
    with tarfile.open(one) as tar:
        assert [member.name for member in tar] == sorted(member.name for member in tar)
        assert {(it.mtime, it.uid, it.gid, it.uname, it.gname, it.mode) for it in tar} == {(0, 0, 0, "", "", 0o644)}


def test_the_statement_names_every_file_with_its_digest(release: Path) -> None:
    archive = unpack(release)
    statement = json.loads(archive.files["statement.json"])

    assert archive.version == "1.2.3"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicate"] == {"version": "1.2.3", "configurations": ["dev"]}
    found = {row["name"]: row["digest"]["sha256"] for row in statement["subject"]}
    assert found == {name: digest(content) for name, content in archive.files.items() if name != "statement.json"}


def test_released_templates_need_no_cdk(release: Path, matrix: Path) -> None:
    everything = b"".join(unpack(release).files.values())

    for word in (b"cdk-hnb659fds", b"BootstrapVersion", b"aws:cdk", str(matrix).encode()):
        assert word not in everything


def test_the_envelope_is_dsse_that_openssl_verifies(release: Path, keys: Path, tmp_path: Path) -> None:
    envelope = json.loads(release.with_name(release.name + ".dsse.json").read_text())
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    (tmp_path / "pae").write_bytes(f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))

    check = ["openssl", "dgst", "-sha256", "-verify", keys / "release.pub", "-signature", tmp_path / "sig"]
    assert subprocess.run([*check, tmp_path / "pae"], check=False, capture_output=True).returncode == 0


Tamper = Callable[[dict[str, bytes]], None]


def _change(files: dict[str, bytes]) -> None:
    name = next(name for name in sorted(files) if name.endswith(".template.json"))
    files[name] = files[name].replace(b"Retain", b"Delete", 1) + b" "


def _drop(files: dict[str, bytes]) -> None:
    del files["dev/stacks.json"]


def _add(files: dict[str, bytes]) -> None:
    files["dev/backdoor.template.json"] = b"{}"


def _forge(files: dict[str, bytes]) -> None:
    """Change a file and the statement with it: only the signature tells."""
    _change(files)
    statement = json.loads(files["statement.json"])
    for row in statement["subject"]:
        row["digest"]["sha256"] = digest(files[row["name"]])
    files["statement.json"] = json.dumps(statement).encode()


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (_change, "template.json: wanted SHA-256"),
        (_drop, "dev/stacks.json: wanted a file"),
        (_add, "dev/backdoor.template.json: wanted no such file"),
        (_forge, "wanted SHA-256"),
    ],
)
def test_an_archive_that_was_touched_is_refused(
    release: Path, keys: Path, command: Any, tamper: Tamper, told: str
) -> None:
    files = dict(unpack(release).files)
    tamper(files)
    release.write_bytes(pack("1.2.3", files))

    outcome = verify(command, release, keys)

    assert outcome.code == 7
    assert told in outcome.err


def test_a_signature_of_another_key_is_refused(release: Path, keys: Path, command: Any) -> None:
    outcome = verify(command, release, keys, "other")

    assert outcome.code == 7
    assert "none that holds" in outcome.err


def test_an_altered_payload_is_refused(release: Path, keys: Path, command: Any) -> None:
    beside = release.with_name(release.name + ".dsse.json")
    envelope = json.loads(beside.read_text())
    payload = base64.b64decode(envelope["payload"]).replace(b"1.2.3", b"1.2.4")
    beside.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))

    assert verify(command, release, keys).code == 7


def test_a_touched_archive_is_not_signed(release: Path, keys: Path, command: Any) -> None:
    files = dict(unpack(release).files)
    _change(files)
    release.write_bytes(pack("1.2.3", files))

    assert command("release", "sign", release, "--key", keys / "release.key").code == 7


def _rsa(folder: Path) -> Path:
    path = folder / "rsa.key"
    make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(path)]
    subprocess.run(make, check=True, capture_output=True)
    return path


def test_bad_input_of_signing_and_verifying(release: Path, keys: Path, tmp_path: Path, command: Any) -> None:
    assert command("release", "sign", release).code == 2
    assert command("release", "sign", release, "--key", keys / "release.key", "--kms-key", "arn").code == 2
    assert command("release", "sign", release, "--key", keys / "release.pub").code == 2
    assert command("release", "sign", release, "--key", _rsa(tmp_path)).code == 2
    assert command("release", "sign", release, "--kms-key", "alias/release").code == 2
    assert command("release", "verify", release, "--public-key", keys / "nothing.pub").code == 2
    assert command("release", "verify", release, "--public-key", keys / "release.key").code == 2
    release.with_name(release.name + ".dsse.json").write_text("{}")
    assert verify(command, release, keys).code == 2
    release.with_name(release.name + ".dsse.json").unlink()
    assert verify(command, release, keys).code == 2
    assert command("release", "build", tmp_path, "--version", "1", "--output", tmp_path / "x").code == 2


def _tar(names: list[str]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return gzip.compress(raw.getvalue())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no archive", "wanted a release archive"),
        (_tar(["signalbox-1/../../etc/passwd"]), "wanted plain files in one folder"),
        (_tar(["signalbox-1/a", "signalbox-1/a"]), "each once"),
        (_tar(["signalbox-1/a", "other/b"]), "wanted everything in a folder"),
        (_tar(["a"]), "wanted plain files in one folder"),
        (_tar([]), "wanted everything in a folder"),
        (_tar(["signalbox-1/a"]), "at least one configuration"),
    ],
)
def test_what_is_no_release_archive_is_bad_input(content: bytes, told: str, tmp_path: Path, command: Any) -> None:
    file = tmp_path / "file.tar.gz"
    file.write_bytes(content)

    outcome = command("replacements", file, file)

    assert outcome.code == 2
    assert told in outcome.err


def test_a_version_that_is_no_file_name_is_bad_input(matrix: Path, tmp_path: Path, command: Any) -> None:
    assert command("release", "build", matrix, "--version", "../1", "--output", tmp_path / "x").code == 2


def test_a_template_with_an_asset_is_not_released(tmp_path: Path, command: Any) -> None:
    code = {"S3Bucket": "cdk-hnb659fds-assets-000000000000-us-east-1", "S3Key": "a.zip"}
    write_assembly(tmp_path / "m" / "dev", stack("s", {"Code": resource("AWS::Lambda::Function", {"Code": code})}))

    outcome = command("release", "build", tmp_path / "m", "--version", "1", "--output", tmp_path / "x.tar.gz")

    assert outcome.code == 7
    assert "dev/s.template.json: Code: " in outcome.err
    assert not (tmp_path / "x.tar.gz").exists()


def test_a_release_is_a_baseline_of_the_replacement_guard(
    release: Path, matrix: Path, draft: Draft, tmp_path: Path, command: Any
) -> None:
    assert command("replacements", release, matrix).code == 0

    change("AWS::RDS::DBCluster", "DatabaseName", "other")(draft)
    draft.write(tmp_path / "new" / "dev")
    outcome = command("replacements", release, tmp_path / "new")
    assert outcome.code == 7
    assert "DatabaseName (create-only)" in outcome.out


@pytest.fixture
def kms_key(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The ARN of a P-256 key in moto's KMS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        kms: Any = boto3.client("kms", region_name="us-west-2")  # pyright: ignore[reportUnknownMemberType]
        yield kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]


def _public_key(arn: str, path: Path) -> Path:
    kms: Any = boto3.client("kms", region_name="us-west-2")  # pyright: ignore[reportUnknownMemberType]
    key = serialization.load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])
    path.write_bytes(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return path


def test_kms_signs(release: Path, kms_key: str, tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def sign_digest(self: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
        """What AWS does on MessageType=DIGEST; moto does not know it, and would hash the digest again."""
        assert (signing_algorithm, len(message)) == ("ECDSA_SHA_256", 32)
        return self.private_key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))

    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign_digest)

    assert command("release", "sign", release, "--kms-key", kms_key).code == 0
    public = _public_key(kms_key, tmp_path / "kms.pub")
    assert command("release", "verify", release, "--public-key", public).code == 0


def test_a_signature_that_does_not_hold_is_not_written(release: Path, kms_key: str, command: Any) -> None:
    """moto as it is signs something else than it was asked to."""
    beside = release.with_name(release.name + ".dsse.json")
    before = beside.read_text()

    outcome = command("release", "sign", release, "--kms-key", kms_key)

    assert outcome.code == 7
    assert "does not hold" in outcome.err
    assert beside.read_text() == before


def test_a_key_that_kms_does_not_have_is_bad_input(release: Path, kms_key: str, command: Any) -> None:
    gone = kms_key.rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"

    assert command("release", "sign", release, "--kms-key", gone).code == 2
