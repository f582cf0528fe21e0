"""``/`` and what it is made of, and login and logout. Everything under ``/web/`` is the same for everybody."""

from __future__ import annotations

import hmac
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

from mystic_agent.contract.errors import Invalid
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from mystic_collector.parts import parts_of
from mystic_collector.reply import read_object, refusal, reply
from mystic_collector.web.session import LASTS, PAGE_HEADER, cookie_name, issue

STATIC = Path(__file__).parent / "static"
_FILES = StaticFiles(directory=STATIC)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # text never becomes HTML: what would do that throws
        "trusted-types 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


_PROTO = re.compile(r"(?:^|;)\s*proto=([a-z]+)")
"""What a proxy says in the header Forwarded (RFC 7239)."""


async def index(request: Request) -> Response:
    """The page."""
    return FileResponse(STATIC / "index.html", headers=_HEADERS)


async def asset(request: Request) -> Response:
    """A file of the page."""
    answer = await _FILES.get_response(posixpath.normpath(request.path_params["path"]), request.scope)
    answer.headers.update(_HEADERS)
    return answer


async def login(request: Request) -> Response:
    """Take the key and give the browser a cookie for it, which no script can read."""
    parts = parts_of(request)
    given, key = (await read_object(request)).get("key"), parts.settings.api_key
    if not isinstance(given, str):
        raise Invalid("key", type(given).__name__, "give the key as text")
    if not key:
        return reply({"key": False})
    if not hmac.compare_digest(given.strip().encode(), key.encode()):
        return refusal(401, "not the key", "it is what MYSTIC_API_KEY of the collector says")
    answer = reply({"key": True, "lasts": LASTS})
    _set(answer, request, key, issue(key, parts.clock()), LASTS)
    return answer


async def logout(request: Request) -> Response:
    """Take the cookie back."""
    await read_object(request)  # nothing in it is needed: a body is bounded wherever it is sent
    key = parts_of(request).settings.api_key
    answer = reply({"key": bool(key)})
    if key and PAGE_HEADER in request.headers:
        _set(answer, request, key, "", 0)
    return answer


def _set(answer: Response, request: Request, key: str, value: str, age: int) -> None:
    """Set the cookie for the folder that the browser sees, which behind a proxy is not known here: no path is said."""
    came = _came_by_tls(request.url.scheme, request.headers)
    answer.set_cookie(cookie_name(key), value, max_age=age, path=None, secure=came, httponly=True, samesite="strict")


def _came_by_tls(scheme: str, headers: Mapping[str, str]) -> bool:
    """True when the browser reached us by TLS, here or at a proxy.

    Who lies about it is given a cookie that does not come back, and nothing more.
    """
    said = (scheme, headers.get("origin", "").partition(":")[0], headers.get("x-forwarded-proto", "").partition(",")[0])
    nearest = headers.get("forwarded", "").partition(",")[0].lower().replace('"', "")
    return any(one.strip().lower() == "https" for one in (*said, *_PROTO.findall(nearest)))


ROUTES = (
    Route("/", index),
    Route("/login", login, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/web/{path:path}", asset),
)
