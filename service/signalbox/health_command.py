"""`signalbox health`: the health check of a container, in an image that has no curl."""

from __future__ import annotations

import http.client
import ssl
from typing import Literal
from urllib.parse import urlsplit

from signalbox import settings as configuration
from signalbox.errors import Invalid
from signalbox.output import Output, answer
from signalbox.reconcile import heartbeat
from signalbox.settings import Settings, Tls
from signalbox_wire.loopback import is_loopback

_SECONDS = 3.0
_ANY = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
_OK = 200


def health(process: Literal["serve", "reconcile"] = "serve", *, url: str | None = None, output: Output = "text") -> int:
    """Say whether PROCESS of this container is well: exit code 0, or 1 with the reason.

    Parameters
    ----------
    process
        `serve` is asked over its own address; `reconcile` leaves a sign of life in SIGNALBOX_HEARTBEAT_FILE.
    url
        What to ask instead of serve's own /healthz. Certificates are verified, except that of this machine's own
        process with SIGNALBOX_TLS=self-signed.
    output
        `json` for machines.

    """
    settings = configuration.load()
    reason = heartbeat.trouble(settings) if process == "reconcile" else _trouble(settings, url)
    answer(output, {"healthy": reason is None, "reason": reason}, reason or "healthy")
    return 0 if reason is None else 1


def _trouble(settings: Settings, url: str | None) -> str | None:
    parts = urlsplit(url or _own(settings))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"url: wanted http:// or https:// with a host, got {url!r}")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if settings.tls is Tls.SELF_SIGNED and is_loopback(parts.hostname):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", parts.path or "/healthz")
        status = connection.getresponse().status
    except OSError as e:
        return f"no answer within {_SECONDS:.0f} s: {e}"
    except http.client.HTTPException as e:
        return f"no HTTP answer: {e!r}"
    finally:
        connection.close()
    return None if status == _OK else f"it answers {status}"


def _own(settings: Settings) -> str:
    """Where this container's own serve answers."""
    host, port = settings.addresses[0]
    if host in _ANY:
        host = "127.0.0.1"
    scheme = "http" if settings.tls is Tls.OFF else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/healthz"
