"""What is in an image, as a CycloneDX 1.6 bill of materials: read from the image, not from what was meant to be in it.

Python distributions by their metadata wherever they lie, Debian packages by dpkg's records, and the interpreter that
the official Python images build outside of dpkg. The same image always gives the same bytes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_string
from email.message import Message
from pathlib import PurePosixPath
from typing import Any

from cyclonedx.model import bom, component
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from oci_layout import Layout

# Any: a decorator of the library hides the classes' parameters from type checkers.
Bom: Any = bom.Bom
BomMetaData: Any = bom.BomMetaData
Component: Any = component.Component
ComponentType = component.ComponentType

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_DPKG = PurePosixPath("/var/lib/dpkg")
_NAMESPACE = uuid.UUID("6b1f0d53-7d0c-4a55-9d57-0b6c2f8a4a11")


def describe(image: Layout, *, at: datetime) -> str:
    """The bill of materials as JSON; `at` is the time that the image bears."""
    subject = Component(
        name="signalbox",
        version=image.digest,
        type=ComponentType.CONTAINER,
        bom_ref=image.digest,
        purl=PackageURL("oci", None, "signalbox", image.digest, {"arch": image.config["architecture"]}),
    )
    made = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, image.digest),
        metadata=BomMetaData(timestamp=at.astimezone(UTC), component=subject),
        components=[*_interpreter(image), *_packages(image)],
    )
    made.register_dependency(subject, made.components)
    return JsonV1Dot6(made).output_as_string(indent=2)


def _interpreter(image: Layout) -> Iterator[Any]:
    variables = dict(v.split("=", 1) for v in image.config["config"].get("Env", []))
    if version := variables.get("PYTHON_VERSION"):
        yield _component("python", version, "generic", None, {})


def _packages(image: Layout) -> Iterator[Any]:
    architecture = image.config["architecture"]
    for path, content in sorted(image.files(_is_record).items()):
        text = content.decode(errors="replace")
        if path.name == "METADATA":
            facts = message_from_string(text)
            yield _component(re.sub(r"[-_.]+", "-", facts["Name"]).lower(), facts["Version"], "pypi", None, {})
            continue
        for record in re.split(r"\n{2,}", text.strip()):
            facts = message_from_string(record)
            if _is_installed(facts):
                qualifiers = {"arch": facts["Architecture"] or architecture}
                yield _component(facts["Package"], facts["Version"], "deb", "debian", qualifiers)


def _is_record(path: PurePosixPath) -> bool:
    in_dpkg = path == _DPKG / "status" or (path.parent == _DPKG / "status.d" and not path.suffix)
    return in_dpkg or (path.name == "METADATA" and path.parent.suffix == ".dist-info")


def _is_installed(facts: Message) -> bool:
    """Records of images without dpkg itself have no status."""
    return str(facts.get("Status", "install ok installed")).endswith(" installed")


def _component(name: str, version: str, kind: str, vendor: str | None, qualifiers: dict[str, str]) -> Any:
    purl = PackageURL(kind, vendor, name, version, qualifiers)
    return Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=purl.to_string())
