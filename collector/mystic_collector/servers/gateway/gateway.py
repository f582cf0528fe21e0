"""``/servers/{name}/mcp``: one address for every server, whatever it speaks and wherever it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from mystic_agent.contract.errors import Invalid
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mystic_collector.reply import refusal
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.figures import Figures
from mystic_collector.servers.gateway.calls import Calls
from mystic_collector.servers.gateway.session import Session
from mystic_collector.servers.gateway.sessionless import Sessionless
from mystic_collector.servers.protocol import Servers
from mystic_collector.servers.validation import server_name

IDLE = 15 * 60.0
"""Seconds after which a session that nobody uses ends, and its process with it."""

MOST_SESSIONS = 64
MOST_BODY = 4 * 2**20


class Gateway:
    """The sessions of all clients with all servers.

    Args:
        servers: opens upstreams.
        calls: answers requests without a session.
        idle: seconds; see :data:`IDLE`.
        most: sessions in all; a server's own ceiling is its engine's.
    """

    def __init__(
        self,
        servers: Servers,
        calls: Calls,
        figures: Figures,
        idle: float = IDLE,
        most: int = MOST_SESSIONS,
    ) -> None:
        self._servers = servers
        self._figures = figures
        self._sessionless = Sessionless(calls)
        self._bounded = RequestBodyLimitMiddleware(self._answer, MOST_BODY)
        self._idle = idle
        self._most = most
        self._sessions: dict[str, Session] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the name of the server is a parameter of the path."""
        await self._bounded(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            await (await self._route(request))(scope, receive, send)
        except Invalid as error:
            await refusal(404, str(error))(scope, receive, send)
        except ServersError as error:
            await refusal(error.status, error.what, error.remedy)(scope, receive, send)

    async def _route(self, request: Request) -> ASGIApp:
        name = server_name(request.path_params["name"])
        version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER)
        if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            return self._without_session(name)
        identity = request.headers.get(MCP_SESSION_ID_HEADER)
        if identity is not None:
            session = self._sessions.get(identity)
            if session is None or session.name != name:
                return refusal(404, "there is no such session", "initialize a new one")
            return session.handle
        found = await self._servers.status(name)
        if found.state != "running":
            detail = f": {found.detail}" if found.detail else ""
            return refusal(409, f"the server {name!r} is {found.state}{detail}", found.remedy or "wait until it runs")
        if len(self._sessions) >= self._most:
            return refusal(
                429, f"there are {len(self._sessions)} sessions, as many as may be", "end one", {"Retry-After": "5"}
            )
        return self._opening(name)

    def _without_session(self, name: str) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await self._sessionless.handle(name, scope, receive, send)

        return answer

    def _opening(self, name: str) -> ASGIApp:
        """Return what answers a client's first request: only one that opens a session leaves one."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            identity = uuid4().hex
            session = Session(self._servers, name, identity, self._idle, self._forget(identity), self._figures)
            self._sessions[identity] = session
            self._figures.opened(name)
            status = 0

            async def watched(message: object) -> None:
                nonlocal status
                if isinstance(message, dict) and message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)  # type: ignore[arg-type]  # it is one of ASGI's

            try:
                await session.handle(scope, receive, watched)
            finally:
                if not 200 <= status < 300:
                    await asyncio.shield(session.end())

        return answer

    def _forget(self, identity: str) -> Callable[[], None]:
        def forget() -> None:
            session = self._sessions.pop(identity, None)
            if session is not None:
                self._figures.closed(session.name)

        return forget

    @property
    def open(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    async def close(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(session.end() for session in tuple(self._sessions.values())))
