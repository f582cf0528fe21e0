"""Who may speak to the collector: Host, Origin and key, judged before a body is read.

A page in somebody's browser can reach a loopback port. The Host check stops rebound names, the Origin
check stops foreign pages; both hold whatever address is bound.
"""

from __future__ import annotations

import hmac
import re
import socket
import time
from collections.abc import Callable

from mystic_agent.contract.wire import API_KEY_HEADER, HEALTH_PATH, TRACES_PATH
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mystic_collector.reply import refusal
from mystic_collector.servers.token import shared
from mystic_collector.settings import Settings
from mystic_collector.web.session import PAGE_HEADER, admits

LOCAL = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?:\[([0-9a-f:.]{2,64})\]|([a-z0-9._-]{1,253}))(?::\d{1,5})?")

CHAT_PATH = "/mcp"
CHAT_METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
"""Where a client of the chat learns whose tokens are accepted (RFC 9728); read without any."""

OPEN = (HEALTH_PATH, "/", "/login", "/logout")
"""What anybody may ask for: nothing here tells of an application."""

OPEN_FOLDER = "/web/"

_PAGES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""Scheme of a request → scheme of the page that may send it."""


class Gate:
    """ASGI middleware that answers 421, 403 or 401 itself and passes the rest on.

    Args:
        app: what lies behind.
        settings: host, allowed hosts and origins, key.
        clock: Unix seconds, for sessions of the page.
    """

    def __init__(self, app: ASGIApp, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        # Nobody else's page can be served under this machine's own name: containers and pods are reached by it.
        self._hosts = frozenset((*LOCAL, socket.gethostname().lower(), settings.host.lower(), *settings.allowed_hosts))
        self._origins = frozenset(settings.allowed_origins)
        self._key = settings.api_key.encode()
        self._beside = shared(settings.sidecar_token, settings.sidecar_token_file)
        # Where the chat takes access tokens it judges them itself, the key among them.
        self._clock = clock
        self._elsewhere = (CHAT_PATH, CHAT_METADATA_PATH) if settings.oauth_issuer else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        here = (scope.get("server") or ("", 0))[0]
        method = scope.get("method", "GET")
        scheme = _PAGES.get(scope.get("scheme", "http"), "http")
        refused = self.judge(scope["path"], scheme, Headers(scope=scope), here, method)
        if refused is None:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: answered with 403
            return
        status, message, remedy = refused
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        await refusal(status, message, remedy, headers)(scope, receive, send)

    def judge(
        self, path: str, scheme: str, headers: Headers, here: str = "", method: str = "GET"
    ) -> tuple[int, str, str] | None:
        """Return (status, message, remedy) of a refusal, or None when the request may pass.

        Args:
            here: the address of ours that the connection came to. Its being named as the Host is no rebinding, which
                takes a name; a kubelet's probes name a pod so.
        """
        host = headers.get("host", "")
        name = _name_of(host)
        if "*" not in self._hosts and name not in self._hosts and (not name or name != here.lower()):
            return 421, f"unknown Host {host[:100]!r}", "use localhost, or list the name in MYSTIC_ALLOWED_HOSTS"
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and origin.lower() != f"{scheme}://{host.lower()}":
            remedy = "use the collector's own page, or list the origin in MYSTIC_ALLOWED_ORIGINS"
            return 403, f"foreign Origin {origin[:100]!r}", remedy
        if path in self._elsewhere or path in OPEN or path.startswith(OPEN_FOLDER):
            return None
        if self._key and not self._knows(headers, method) and not (path == TRACES_PATH and self._is_beside(headers)):
            return 401, "no valid key", f"send the key as {API_KEY_HEADER} or as Authorization: Bearer"
        return None

    def _knows(self, headers: Headers, method: str) -> bool:
        """True when the key is shown, or the cookie that the page has for it."""
        if hmac.compare_digest(_shown_key(headers), self._key):
            return True
        cookies, marked = headers.get("cookie", ""), PAGE_HEADER in headers
        return admits(self._key.decode(), cookies, method, marked, self._clock())

    def _is_beside(self, headers: Headers) -> bool:
        """True for our sidecar, which tells its part of a trace and is trusted with nothing else."""
        token = self._beside().encode()
        return bool(token) and hmac.compare_digest(_shown_key(headers), token)


def _shown_key(headers: Headers) -> bytes:
    key = headers.get(API_KEY_HEADER)
    if key is None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else ""
    return key.encode("latin-1", "replace")


def _name_of(host: str) -> str | None:
    """Return the name in a Host header without its port; None when there is none or it is malformed."""
    match = _HOST.fullmatch(host.lower())
    return match and (match[1] or match[2])
