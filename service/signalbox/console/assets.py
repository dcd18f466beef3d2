"""Files that pages load, each under an address that holds the digest of its content and may be kept forever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

PREFIX = "/v2/static"

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, kw_only=True)
class Asset:
    url: str
    media_type: str
    content: bytes


def load() -> dict[str, Asset]:
    """The assets by the name of their file."""
    found: dict[str, Asset] = {}
    for file in resources.files("signalbox.console").joinpath("static").iterdir():
        stem, _, suffix = file.name.rpartition(".")
        if suffix not in _TYPES:
            continue
        content = file.read_bytes()
        url = f"{PREFIX}/{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        found[file.name] = Asset(url=url, media_type=_TYPES[suffix], content=content)
    return found


def response(assets: dict[str, Asset], request: Request) -> Response:
    """404 also for a file under the digest of another content: a cache must never keep it under this address."""
    for asset in assets.values():
        if asset.url == request.url.path:
            kept = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
            return Response(asset.content, media_type=asset.media_type, headers=kept)
    return Response("not found\n", status_code=404, media_type="text/plain")
