"""``/api/mcp``: managed MCP servers; the main one by itself, as Archon's clients ask, and any by name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, read_object, refusal, reply, seconds
from mystic_collector.servers.errors import ServersError, UnknownServer
from mystic_collector.servers.managed import Managed
from mystic_collector.servers.server import LogLine, Server
from mystic_collector.servers.templates import TEMPLATES, search
from mystic_collector.servers.validation import read_spec, server_name

MAIN = "archon"
"""The server that is meant when no name is given."""

MOST_WAIT = 25
MOST_LINES = 5000


async def failed(request: Request, error: Exception) -> Response:
    """Answer what could not be done with a server."""
    if not isinstance(error, ServersError):
        return refusal(500, "the collector failed", "see its log")
    headers = {"Retry-After": "5"} if error.status in (429, 503) else {}
    return reply({"error": error.to_json()}, error.status, headers)


def shown(parts: Parts, server: Server) -> dict[str, Any]:
    """Return a server with its uptime and where its clients find it."""
    running = server.state == "running" and server.started_at
    return {
        **server.to_json(),
        "uptime": max(0.0, parts.clock() - server.started_at) if running else None,
        "path": f"/servers/{server.name}/mcp",
    }


async def managed(request: Request) -> Managed:
    """Return the managed servers behind a request."""
    return await parts_of(request).managed.warm()


async def listed(request: Request) -> Response:
    """All servers."""
    servers = await managed(request)
    found = await servers.servers.listed()
    figures = servers.figures.rows()
    rows = [{**shown(parts_of(request), one), "figures": servers.figures.of_server(figures, one.name)} for one in found]
    return reply({"servers": rows, "count": len(rows)})


async def start(request: Request) -> Response:
    """Begin to start a server; it goes on behind."""
    fields = await read_object(request)
    if not fields.get("server_type"):
        template = next((one for one in TEMPLATES if one.name == (fields.get("template") or fields.get("name"))), None)
        if template is None and (fields.get("name") or fields.get("template")):
            known = ", ".join(one.name for one in TEMPLATES)
            raise Invalid("server_type", "", f"give a type, or the name of a template: {known}")
        fields = {"name": MAIN, **(template or TEMPLATES[0]).fields, **fields}
    fields.pop("template", None)
    return reply(shown(parts_of(request), await (await managed(request)).servers.start(read_spec(fields))), 202)


async def one(request: Request) -> Response:
    """One server; ``wait`` seconds at most until it no longer starts."""
    wait = float(number(request, "wait", 0, 0, MOST_WAIT))
    return reply(shown(parts_of(request), await (await managed(request)).servers.status(_named(request), wait)))


async def stop(request: Request) -> Response:
    """End a server and take it away."""
    name, servers = await _meant(request), await managed(request)
    found = await servers.servers.stop(name)
    servers.calls.forget(name)
    return reply(shown(parts_of(request), found))


async def restart(request: Request) -> Response:
    """End a server and begin it anew."""
    name, servers = await _meant(request), await managed(request)
    found = await servers.servers.restart(name)
    servers.calls.forget(name)
    return reply(shown(parts_of(request), found), 202)


async def status(request: Request) -> Response:
    """The main server, as Archon's clients ask: also when there is none."""
    parts, name = parts_of(request), _named(request)
    servers = await managed(request)
    found: Server | None = None
    lines: tuple[LogLine, ...] = ()
    try:
        found = await servers.servers.status(name)
        lines = await servers.servers.logs(name, 50, servers.since(name, 0.0))
    except UnknownServer:
        pass
    answer = shown(parts, found) if found else {"name": name, "uptime": None, "detail": "", "remedy": "start it"}
    answer |= {
        "status": found.state if found else "stopped",
        "container_status": found.engine_state if found else "not_found",
        "deployment_mode": found.mode if found else (await servers.servers.health()).mode,
        "logs": [line.text for line in lines],
    }
    return reply(answer)


async def logs(request: Request) -> Response:
    """The newest lines of a server's log, oldest first."""
    name, tail = _named(request), number(request, "tail", number(request, "limit", 200, 0, MOST_LINES), 0, MOST_LINES)
    since = (await managed(request)).since(name, seconds(request, "since"))
    rows = [line.to_json() for line in await (await managed(request)).servers.logs(name, tail, since)]
    return reply({"name": name, "logs": rows, "count": len(rows)})


async def clear_logs(request: Request) -> Response:
    """Forget what a server has written; its engine keeps it."""
    name = _named(request)
    await (await managed(request)).servers.status(name)
    return reply({"name": name, "cleared_at": (await managed(request)).clear_logs(name)})


async def follow_logs(request: Request) -> Response:
    """A server's log, line by line as it is written, as server-sent events."""
    name, tail, since = _named(request), number(request, "tail", 50, 0, MOST_LINES), seconds(request, "since")
    servers = await managed(request)
    await servers.servers.status(name)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(servers, name, tail, since), media_type="text/event-stream", headers=headers)


async def _events(servers: Managed, name: str, tail: int, since: float) -> AsyncIterator[bytes]:
    try:
        async for line in servers.follow(name, tail, since):
            yield b"event: log\ndata: " + orjson.dumps(line.to_json()) + b"\n\n"
    except ServersError as error:
        yield b"event: error\ndata: " + orjson.dumps(error.to_json()) + b"\n\n"
    yield b"event: end\ndata: {}\n\n"


async def tools(request: Request) -> Response:
    """The tools of a running server."""
    name = _named(request)
    rows = await (await managed(request)).calls.tools(name)
    return reply({"name": name, "tools": rows, "count": len(rows)})


async def execute(request: Request) -> Response:
    """Call a tool of a running server."""
    name, fields = _named(request), await read_object(request)
    tool, arguments = fields.get("tool") or fields.get("name"), fields.get("arguments") or {}
    if not isinstance(tool, str) or not tool:
        raise Invalid("tool", tool, "name a tool of the server")
    if not isinstance(arguments, dict):
        raise Invalid("arguments", type(arguments).__name__, "give an object")
    return reply(await (await managed(request)).calls.call(name, tool, arguments))


async def health(request: Request) -> Response:
    """Whether servers can be run here, and by what."""
    found = await (await managed(request)).servers.health()
    return reply(found.to_json(), 200 if found.ok else 503)


async def one_health(request: Request) -> Response:
    """Whether a server runs and answers, asked over MCP."""
    name, servers = _named(request), await managed(request)
    found = await servers.servers.status(name)
    told: dict[str, Any]
    if found.state == "failed":  # a session that was open when its own process failed may answer still
        told = {"healthy": False, "reason": found.detail, "remedy": found.remedy}
    else:
        try:
            told = {"healthy": True, **await servers.calls.ping(name), "reason": "", "remedy": ""}
        except ServersError as error:
            told = {"healthy": False, "reason": error.what, "remedy": error.remedy}
    return reply({"name": name, "state": found.state, **told}, 200 if told["healthy"] else 503)


async def config(request: Request) -> Response:
    """What was set for managed servers."""
    settings = parts_of(request).settings
    return reply(
        {
            "mode": settings.servers,
            "deployment_mode": (await (await managed(request)).servers.health()).mode,
            "sidecar_url": settings.sidecar_url,
            "servers_max": settings.servers_max,
            "servers_max_sessions": settings.servers_max_sessions,
            "images": dict(settings.servers_images),
            "secrets": settings.servers_secrets is not None,
            "transport": "streamable-http",
            "path": "/servers/{name}/mcp",
            "host": settings.host,
            "port": settings.port,
        }
    )


async def metrics(request: Request) -> Response:
    """What was counted since the collector's start; the store has its past, under ``/api/points``."""
    servers = await managed(request)
    with contextlib.suppress(ServersError):  # what was counted is told also where nothing runs them now
        await servers.servers.listed()
    rows = servers.figures.rows()
    return reply({"metrics": rows, "count": len(rows)})


async def templates(request: Request) -> Response:
    """The registry: servers ready to be started by name; ``q`` searches."""
    rows = [one.to_json() for one in search(request.query_params.get("q", "")[:200])]
    return reply({"templates": rows, "count": len(rows)})


class Clients:
    """``/servers/{name}/mcp``: hands MCP clients to the gateway."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await (await managed(Request(scope))).gateway(scope, receive, send)


def _named(request: Request) -> str:
    return server_name(request.path_params.get("name") or request.query_params.get("name") or MAIN)


async def _meant(request: Request) -> str:
    """Return the name in the path, else in the body, else the main server's."""
    given = await read_object(request)  # also where nothing in it is needed: a body is bounded wherever it is sent
    return server_name(request.path_params.get("name") or given.get("name") or MAIN)


async def socket_logs(socket: WebSocket) -> None:
    """A server's log over a WebSocket: one JSON object a line, then the end."""
    request = Request({**socket.scope, "type": "http", "method": "GET"})
    try:
        servers, name = await managed(request), _named(request)
        tail, since = number(request, "tail", 50, 0, MOST_LINES), seconds(request, "since")
        await servers.servers.status(name)
    except (Invalid, ServersError) as error:
        await socket.accept()
        told = error.to_json() if isinstance(error, ServersError) else {"message": str(error), "remedy": ""}
        await socket.send_text(orjson.dumps({"error": told}).decode())
        await socket.close(1008, str(error)[:100])
        return
    await socket.accept()
    sending = asyncio.create_task(_send_lines(socket, servers, name, tail, since))
    leaving = asyncio.create_task(_gone(socket))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.wait((sending, leaving))
    if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
        await socket.close()


async def _send_lines(socket: WebSocket, servers: Managed, name: str, tail: int, since: float) -> None:
    try:
        async for line in servers.follow(name, tail, since):
            await socket.send_text(orjson.dumps(line.to_json()).decode())
    except ServersError as error:
        await socket.send_text(orjson.dumps({"error": error.to_json()}).decode())
    except (WebSocketDisconnect, RuntimeError):
        pass  # the reader has gone


async def _gone(socket: WebSocket) -> None:
    """Return when the reader has gone; what it says is not listened to."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


ROUTES = (
    Route("/api/mcp/start", start, methods=["POST"]),
    Route("/api/mcp/stop", stop, methods=["POST"]),
    Route("/api/mcp/restart", restart, methods=["POST"]),
    Route("/api/mcp/status", status),
    Route("/api/mcp/logs", logs),
    Route("/api/mcp/logs", clear_logs, methods=["DELETE"]),
    Route("/api/mcp/logs/stream", follow_logs),
    Route("/api/mcp/config", config),
    Route("/api/mcp/health", health),
    Route("/api/mcp/registry", templates),
    Route("/api/mcp/metrics", metrics),
    Route("/api/mcp/servers", listed),
    Route("/api/mcp/servers", start, methods=["POST"]),
    Route("/api/mcp/servers/{name}", one),
    Route("/api/mcp/servers/{name}", stop, methods=["DELETE"]),
    Route("/api/mcp/servers/{name}/restart", restart, methods=["POST"]),
    Route("/api/mcp/servers/{name}/logs", logs),
    Route("/api/mcp/servers/{name}/logs", clear_logs, methods=["DELETE"]),
    Route("/api/mcp/servers/{name}/logs/stream", follow_logs),
    Route("/api/mcp/servers/{name}/health", one_health),
    Route("/api/mcp/servers/{name}/tools", tools),
    Route("/api/mcp/servers/{name}/execute", execute, methods=["POST"]),
    Route("/servers/{name}/mcp", Clients()),
    WebSocketRoute("/api/mcp/logs/stream", socket_logs),
    WebSocketRoute("/api/mcp/servers/{name}/logs/stream", socket_logs),
)
