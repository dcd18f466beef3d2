"""An image on disk, as the OCI image layout says: `index.json` names a manifest by digest, `blobs/` holds everything.

What is published are the bytes of this folder; what is said of an image is read from them, too.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_NAME = "org.opencontainers.image.ref.name"
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class Layout:
    """One manifest in a folder, under the name NAME."""

    NAME = "image"

    folder: Path
    digest: str
    """Of the manifest: `sha256:` and 64 hexadecimal digits."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises ValueError when there is not exactly one image of one platform."""
        manifests = json.loads((folder / "index.json").read_text())["manifests"]
        if [m["mediaType"] for m in manifests] != [MANIFEST_TYPE]:
            raise ValueError(f"{folder}: wanted one OCI manifest, got {[m['mediaType'] for m in manifests]}")
        return cls(folder, manifests[0]["digest"])

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads(self.blob(self.digest).read_bytes())

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.blob(self.manifest["config"]["digest"]).read_bytes())

    @property
    def platform(self) -> str:
        return f"{self.config['os']}/{self.config['architecture']}"

    def blob(self, digest: str) -> Path:
        return self.folder / "blobs" / Path(*digest.split(":"))

    def files(self, wanted: Callable[[PurePosixPath], bool]) -> dict[PurePosixPath, bytes]:
        """Contents by path of the files that a container would see and that are `wanted`."""
        seen: dict[PurePosixPath, bytes] = {}
        for layer in self.manifest["layers"]:
            with tarfile.open(self.blob(layer["digest"])) as archive:
                for member in archive:
                    path = PurePosixPath("/") / member.name
                    if path.name.startswith(_WHITEOUT):
                        gone = path.parent if path.name == _OPAQUE else path.with_name(path.name[len(_WHITEOUT) :])
                        seen = {p: text for p, text in seen.items() if gone not in (p, *p.parents)}
                    elif member.isfile() and wanted(path) and (content := archive.extractfile(member)):
                        seen[path] = content.read()
        return seen


def write_artifact(folder: Path, content: bytes, *, media_type: str, subject: Layout) -> Layout:
    """Make a layout in `folder` whose one blob is about `subject`: a referrer of it, as registries list them."""
    of_subject = subject.blob(subject.digest).read_bytes()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": media_type,
        "config": _put(folder, b"{}", _EMPTY_TYPE),
        "layers": [_put(folder, content, media_type)],
        "subject": {"mediaType": MANIFEST_TYPE, "digest": subject.digest, "size": len(of_subject)},
    }
    described = _put(folder, json.dumps(manifest, separators=(",", ":")).encode(), MANIFEST_TYPE)
    named = described | {"annotations": {_NAME: Layout.NAME}}
    index = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": [named]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return Layout(folder, described["digest"])


def _put(folder: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    blob = folder / "blobs" / "sha256" / digest
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
