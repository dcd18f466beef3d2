"""A form that changes something counts only when this site's own page sent it.

Two independent proofs: the browser says that the request comes from the same origin, and the form carries a token made
from a cookie that other sites can neither read nor set the token for.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from signalbox.errors import Forbidden, Invalid

TOKEN = "token"  # noqa: S105  # the name of the field

_COOKIE = "signalbox-form"
_LONGEST = 16 * 1024  # bytes of a form
_SAME = "same-origin"


def key(request: Request) -> str:
    """The browser's own secret, from its cookie, or a new one; `remember` keeps it."""
    return request.cookies.get(_COOKIE) or secrets.token_urlsafe(32)


def remember(request: Request, response: Response, key: str) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(_COOKIE, key, path="/", secure=secure, httponly=True, samesite="strict")


def token(key: str, path: str) -> str:
    """Token of the form that posts to `path`; of no other."""
    return hmac.new(key.encode(), path.encode(), "sha256").hexdigest()


async def read(request: Request) -> Mapping[str, str]:
    """The fields of a form that is proven to be ours. Raises Forbidden, or Invalid for one that is too long."""
    _require_same_origin(request)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            raise Invalid(f"form: at most {_LONGEST} bytes")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    expected = token(request.cookies.get(_COOKIE, ""), request.url.path)
    if _COOKIE not in request.cookies or not hmac.compare_digest(fields.get(TOKEN, "").encode(), expected.encode()):
        raise Forbidden("the form's token is missing or not of this page", hint="reload the page and try again")
    return fields


def _require_same_origin(request: Request) -> None:
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != _SAME:
        raise Forbidden(f"the form was sent by another site (Sec-Fetch-Site: {site})")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden(f"the form was sent by another origin ({origin})")
    if site is None and origin is None:
        raise Forbidden("the form has neither Sec-Fetch-Site nor Origin: a browser sends one of them")
