"""What the sidecar answers; every answer but ``/health`` only to who shows the token."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from mystic_collector.reply import crashed, flag, http_error, invalid, number, read_object, refusal, reply, seconds
from mystic_collector.security import Gate
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.protocol import Endpoint, Pipe
from mystic_collector.servers.server import Health, Server
from mystic_collector.servers.templates import TEMPLATES
from mystic_collector.servers.validation import read_spec, server_name
from mystic_collector.settings import Settings
from mystic_collector.sidecar.servers import KubernetesServers
from mystic_collector.tracing.middleware import Traced
from mystic_collector.tracing.tracing import Tracing

MAIN = "archon"
"""The server that is meant when no name is given."""

REQUEST_HEADER = "Idempotency-Key"
MOST_WAIT = 25
MOST_LINES = 5000
_HEALTH_MEMORY = 1.0
_MOST_KEY = 100


class Sidecar:
    """The endpoints over what runs servers.

    Args:
        servers: as pods.
    """

    def __init__(self, servers: KubernetesServers) -> None:
        self.servers = servers
        self._asking = asyncio.Lock()
        self._health: tuple[float, Health] | None = None

    async def _healthy(self) -> Health:
        """Return the health, asked at most once a second whoever knocks."""
        async with self._asking:
            if self._health is None or time.monotonic() - self._health[0] > _HEALTH_MEMORY:
                found = await self.servers.health()
                self._health = (time.monotonic(), found)
            return self._health[1]

    async def health(self, request: Request) -> Response:
        """Whether the sidecar can do its work, and no more than that: anybody may ask."""
        found = await self._healthy()
        return reply({"status": "ok" if found.ok else "unavailable", "mode": found.mode}, 200 if found.ok else 503)

    async def status_of_all(self, request: Request) -> Response:
        """The sidecar's health with its reason, and how many servers there are."""
        found = await self._healthy()
        servers = await self.servers.listed() if found.ok else ()
        return reply({**found.to_json(), "servers": len(servers)})

    async def start(self, request: Request) -> Response:
        """Begin to start a server."""
        fields = await read_object(request)
        if not fields.get("server_type") and not fields.get("name"):
            fields = {"name": MAIN, **TEMPLATES[0].fields, **fields}
        found = await self.servers.start(read_spec(fields), _key(request))
        return reply(_shown(request, found), 202)

    async def stop(self, request: Request) -> Response:
        """End a server and take it away."""
        return reply(_shown(request, await self.servers.stop(await _meant(request))))

    async def restart(self, request: Request) -> Response:
        """End a server and begin it anew."""
        return reply(_shown(request, await self.servers.restart(await _meant(request), _key(request))), 202)

    async def status(self, request: Request) -> Response:
        """One server; ``wait`` seconds at most until it no longer starts."""
        found = await self.servers.status(_named(request), float(number(request, "wait", 0, 0, MOST_WAIT)))
        return reply(_shown(request, found))

    async def listed(self, request: Request) -> Response:
        """All servers."""
        rows = [_shown(request, one) for one in await self.servers.listed()]
        return reply({"servers": rows, "count": len(rows)})

    async def logs(self, request: Request) -> Response:
        """The newest lines of a server's log; with ``follow`` every further one, a JSON object a line."""
        name, tail, since = _named(request), number(request, "tail", 200, 0, MOST_LINES), seconds(request, "since")
        if not flag(request, "follow"):
            rows = [line.to_json() for line in await self.servers.logs(name, tail, since)]
            return reply({"name": name, "logs": rows, "count": len(rows)})
        await self.servers.status(name)
        return StreamingResponse(self._lines(name, tail, since), media_type="application/x-ndjson")

    async def _lines(self, name: str, tail: int, since: float) -> AsyncIterator[bytes]:
        try:
            async for line in self.servers.follow(name, tail, since):
                yield orjson.dumps(line.to_json()) + b"\n"
        except ServersError as error:
            yield orjson.dumps({"error": _told(error)}) + b"\n"

    async def attach(self, socket: WebSocket) -> None:
        """The way to a server's MCP side: first what it is, as a text; then, of a pipe, its bytes both ways.

        Of a server that listens nothing follows: the connection is open for as long as somebody speaks to it.
        """
        await socket.accept()
        try:
            name = server_name(socket.query_params.get("name") or MAIN)
            async with self.servers.open(name) as channel:
                if isinstance(channel, Endpoint):
                    told = {"kind": "endpoint", "url": channel.url, "transport": channel.transport}
                    await socket.send_text(orjson.dumps(told).decode())
                    while (await socket.receive())["type"] != "websocket.disconnect":
                        pass
                else:
                    await socket.send_text('{"kind": "pipe"}')
                    await _both_ways(socket, channel)
        except (Invalid, ServersError) as error:
            told = _told(error) if isinstance(error, ServersError) else {"code": "rejected", "message": str(error)}
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await socket.send_text(orjson.dumps({"error": told}).decode())
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await socket.close()


async def _both_ways(socket: WebSocket, pipe: Pipe) -> None:
    """Pass bytes on until either side has gone."""

    async def down() -> None:
        while data := await pipe.receive():
            await socket.send_bytes(data)

    async def up() -> None:
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            if data := message.get("bytes"):
                await pipe.send(data)

    tasks = [asyncio.create_task(down()), asyncio.create_task(up())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, _GONE):
                raise ended


_GONE = (ServersError, WebSocketDisconnect, RuntimeError)
"""What says that one side has gone; Starlette's RuntimeError, that it had before."""


def _shown(request: Request, server: Server) -> dict[str, Any]:
    """Return a server; with the values of ``env`` for a caller that asks for them, such as the collector."""
    found = server.to_json()
    return {**found, "spec": server.spec.to_json(values=True)} if flag(request, "values") else found


def _told(error: ServersError) -> dict[str, Any]:
    """Return an error with what the Kubernetes API said, where it was that."""
    cause: Any = error.__cause__
    status = getattr(cause, "status", None)
    said = {"status": status, "reason": str(getattr(cause, "reason", ""))} if isinstance(status, int) else None
    return {**error.to_json(), **({"kubernetes": said} if said else {})}


async def failed(request: Request, error: Exception) -> Response:
    """Answer what could not be done."""
    if not isinstance(error, ServersError):
        return refusal(500, "the sidecar failed", "see its log")
    headers = {"Retry-After": "1"} if error.status in (429, 503) else {}
    return reply({"error": _told(error)}, error.status, headers)


def _key(request: Request) -> str:
    key = request.headers.get(REQUEST_HEADER, "")
    if len(key) > _MOST_KEY or not (key.isascii() and (key.isprintable() or not key)):
        raise Invalid(REQUEST_HEADER, key, f"give at most {_MOST_KEY} printable characters")
    return key


def _named(request: Request) -> str:
    return server_name(request.path_params.get("name") or request.query_params.get("name") or MAIN)


async def _meant(request: Request) -> str:
    given = await read_object(request)
    return server_name(request.path_params.get("name") or given.get("name") or request.query_params.get("name") or MAIN)


def build_app(servers: KubernetesServers, token: str, host: str, tracing: Tracing | None = None) -> Starlette:
    """Return the application.

    Args:
        token: what callers must show.
        host: address that is bound, which is accepted as a Host.
        tracing: of what it is asked in a trace; None for no spans.
    """
    sidecar = Sidecar(servers)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await servers.wake()
        yield
        await servers.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.stop)

    return Starlette(
        routes=[
            Route("/health", sidecar.health),
            Route("/status", sidecar.status_of_all),
            Route("/mcp/health", sidecar.status_of_all),
            Route("/mcp/start", sidecar.start, methods=["POST"]),
            Route("/mcp/stop", sidecar.stop, methods=["POST"]),
            Route("/mcp/restart", sidecar.restart, methods=["POST"]),
            Route("/mcp/status", sidecar.status),
            Route("/mcp/list", sidecar.listed),
            Route("/mcp/logs", sidecar.logs),
            WebSocketRoute("/mcp/attach", sidecar.attach),
            Route("/servers", sidecar.listed),
            Route("/servers", sidecar.start, methods=["POST"]),
            Route("/servers/list", sidecar.listed),
            Route("/servers/start", sidecar.start, methods=["POST"]),
            Route("/servers/{name}", sidecar.status),
            Route("/servers/{name}", sidecar.stop, methods=["DELETE"]),
            Route("/servers/{name}/status", sidecar.status),
            Route("/servers/{name}/stop", sidecar.stop, methods=["POST"]),
            Route("/servers/{name}/restart", sidecar.restart, methods=["POST"]),
            Route("/servers/{name}/logs", sidecar.logs),
        ],
        middleware=[
            Middleware(Gate, settings=Settings(host=host, api_key=token)),
            Middleware(Traced, tracing=tracing),
        ],
        exception_handlers={
            Invalid: invalid,
            ServersError: failed,
            HTTPException: http_error,
            Exception: crashed,
        },
        lifespan=lifespan,
    )
