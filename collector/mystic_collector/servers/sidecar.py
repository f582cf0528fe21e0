"""Servers as the Kubernetes sidecar runs them: the same interface, over HTTP to the container beside this one."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets as randomness
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import orjson
from mystic_agent.contract.errors import Invalid
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from mystic_collector.servers.errors import EngineUnavailable, Forbidden, ServersError, UnknownServer, Unreachable
from mystic_collector.servers.errors import from_json as error_from_json
from mystic_collector.servers.protocol import Channel, Endpoint
from mystic_collector.servers.server import Health, LogLine, Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.validation import read_spec
from mystic_collector.servers.websocket import opened
from mystic_collector.tracing.step import context_headers

T = TypeVar("T")
MODE = "kubernetes"
REQUEST_HEADER = "Idempotency-Key"
_TRIES = 3
_CONNECT = 2.0
_ANSWER = 40.0
_HEALTH_PATIENCE = 2.0
_WAIT = 20.0
"""Seconds that one request for a status may wait; a longer wait is several requests."""

_AT_ONCE = 64 * 1024
_START = "start the 'mcp-sidecar' container beside the collector, or set MCP_SIDECAR_URL to where it answers"
_TOKEN = "give both containers the same MCP_SIDECAR_TOKEN, or a MCP_SIDECAR_TOKEN_FILE that both can read"  # noqa: S105 - none


class SidecarServers:
    """MCP servers as pods, through the sidecar; see :class:`~mystic_collector.servers.protocol.Servers`.

    Whatever is asked may be asked again: a start and a restart carry a key by which the sidecar knows a repetition,
    even of what it was asked in a former life.

    Args:
        url: of the sidecar.
        token: returns what both share; asked at each request, since the sidecar may make it later than we start.
        transport: of the HTTP client; the usual one when None.
    """

    def __init__(self, url: str, token: Callable[[], str], transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._token = token
        timeout = httpx.Timeout(_ANSWER, connect=_CONNECT)
        # Proxies of the environment are for the outside; the sidecar is beside us.
        self._client = httpx.AsyncClient(base_url=self._url, timeout=timeout, trust_env=False, transport=transport)

    @property
    def mode(self) -> str:
        """What runs them."""
        return MODE

    async def health(self) -> Health:
        """Tell whether the sidecar answers, takes our token, and reaches its cluster."""
        try:
            found = await asyncio.wait_for(self._once("GET", "/mcp/health", {}), _HEALTH_PATIENCE)
        except TimeoutError:
            return Health(False, MODE, f"the sidecar at {self._url} does not answer in time", _START)
        except ServersError as error:
            return Health(False, MODE, error.what, error.remedy)
        facts: dict[str, Any] = {name: found[name] for name in ("namespace", "contexts") if name in found}
        return Health(bool(found.get("healthy")), MODE, _text(found, "reason"), _text(found, "remedy"), facts)

    async def start(self, spec: ServerSpec) -> Server:
        """Begin to start a server."""
        return await self._server("POST", "/mcp/start", key=randomness.token_hex(16), body=spec.to_json(values=True))

    async def stop(self, name: str) -> Server:
        """End a server and take it away."""
        known = await self.status(name)
        tries = 0

        async def asked() -> Server:
            nonlocal tries
            tries += 1
            try:
                return server_of(await self._once("POST", "/mcp/stop", {"values": "true"}, body={"name": name}))
            except UnknownServer:
                if tries == 1:
                    raise
                return replace(known, state="stopped", detail="it was stopped", remedy="")  # by what was not answered

        return await self._again(asked)

    async def restart(self, name: str) -> Server:
        """End a server and begin it anew."""
        return await self._server("POST", "/mcp/restart", key=randomness.token_hex(16), body={"name": name})

    async def status(self, name: str, wait: float = 0.0) -> Server:
        """Return a server as it is, or once it no longer starts."""
        until = time.monotonic() + wait
        while True:
            left = until - time.monotonic()
            found = await self._server(
                "GET", "/mcp/status", name=name, wait=str(int(max(0.0, min(left, _WAIT)) + 0.999))
            )
            if found.state != "starting" or until - time.monotonic() <= 0:
                return found

    async def listed(self) -> tuple[Server, ...]:
        """Return all servers, by name."""
        found = await self._ask("GET", "/mcp/list", {"values": "true"})
        return tuple(server_of(one) for one in found["servers"])

    async def logs(self, name: str, tail: int = 200, since: float = 0.0) -> tuple[LogLine, ...]:
        """Return the newest lines."""
        found = await self._ask("GET", "/mcp/logs", {"name": name, "tail": str(tail), "since": repr(since)})
        return tuple(_line(one) for one in found["logs"])

    async def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        """Yield lines until the server ends."""
        asked = {"name": name, "tail": str(tail), "since": repr(since), "follow": "true"}
        timeout = httpx.Timeout(_ANSWER, connect=_CONNECT, read=None)
        try:
            async with self._client.stream(
                "GET", "/mcp/logs", params=asked, headers=self._headers(), timeout=timeout
            ) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise self._refused(response)
                async for text in response.aiter_lines():
                    found = orjson.loads(text)
                    if "error" in found:
                        raise error_from_json(found["error"])
                    yield _line(found)
        except httpx.HTTPError as error:
            raise self._away(error) from error

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Channel]:
        """Return the way to a running server's MCP side."""
        connection = await self._connected(name)
        try:
            told = orjson.loads(await connection.recv())
            if "error" in told:
                raise error_from_json(told["error"])
            if told["kind"] == "endpoint":
                yield Endpoint(told["url"], told["transport"])
            else:
                yield _Pipe(connection)
        except ConnectionClosed as error:
            raise EngineUnavailable(f"the sidecar at {self._url} went away", _START) from error
        finally:
            with contextlib.suppress(OSError, TimeoutError):
                await connection.close()

    async def _connected(self, name: str) -> ClientConnection:
        url = f"{self._url.replace('http', 'ws', 1)}/mcp/attach?name={name}"
        try:
            return await opened(url, self._headers(), _CONNECT * 5)
        except InvalidStatus as error:
            raise Forbidden(f"the sidecar at {self._url} does not take our token", _TOKEN) from error
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise self._away(error) from error

    async def close(self) -> None:
        """Let go of the sidecar; servers go on."""
        await self._client.aclose()

    # -- asking -----------------------------------------------------------------------------------------------------

    async def _server(
        self, method: str, path: str, key: str = "", body: Mapping[str, Any] | None = None, **asked: str
    ) -> Server:
        return server_of(await self._ask(method, path, {**asked, "values": "true"}, key, body))

    async def _ask(
        self, method: str, path: str, asked: Mapping[str, str], key: str = "", body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return await self._again(lambda: self._once(method, path, asked, key, body))

    async def _again(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask, and again after a while when nobody answered; all of it is safe to repeat."""
        for attempt in range(1, _TRIES):
            try:
                return await ask()
            except EngineUnavailable:
                await asyncio.sleep(random.uniform(0.05, 0.2) * 2**attempt)  # noqa: S311 - no secret
        return await ask()

    async def _once(
        self,
        method: str,
        path: str,
        asked: Mapping[str, str],
        key: str = "",
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        headers = {**self._headers(), **context_headers(), **({REQUEST_HEADER: key} if key else {})}
        try:
            response = await self._client.request(method, path, params=asked, headers=headers, json=body)
        except httpx.HTTPError as error:
            raise self._away(error) from error
        if not response.is_success:
            raise self._refused(response)
        found: dict[str, Any] = orjson.loads(response.content)
        return found

    def _headers(self) -> dict[str, str]:
        token = self._token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _refused(self, response: httpx.Response) -> ServersError | Invalid:
        if response.status_code == 401:
            return Forbidden(f"the sidecar at {self._url} does not take our token", _TOKEN)
        try:
            told = orjson.loads(response.content)["error"]
            if "code" in told:
                return error_from_json(told)
            if "field" in told:
                return Invalid.from_json(told)  # such as an image that only the sidecar could have known
            text = told["message"]
        except (ValueError, LookupError, TypeError, AttributeError):
            text = f"it answered {response.status_code}"
        if response.status_code >= 500:
            return EngineUnavailable(f"the sidecar at {self._url} fails: {text}", "see its log")
        return error_from_json({"code": "rejected", "message": f"the sidecar refused: {text}"})

    def _away(self, error: Exception) -> EngineUnavailable:
        slow = isinstance(error, httpx.TimeoutException | TimeoutError)
        what = "does not answer in time" if slow else "does not answer"
        return EngineUnavailable(f"the sidecar at {self._url} {what}", _START)


class _Pipe:
    """A stdio server's process, through the sidecar."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Write all of ``data``."""
        try:
            for at in range(0, len(data), _AT_ONCE):
                await self._connection.send(data[at : at + _AT_ONCE])
        except ConnectionClosed as error:
            raise Unreachable("the server's process has ended", "open a new session, and read its logs") from error

    async def receive(self) -> bytes:
        """Return the next bytes of standard output, or ``b""`` once the process has ended."""
        try:
            while True:
                data = await self._connection.recv()
                if isinstance(data, bytes):
                    return data
        except ConnectionClosed:
            return b""


def server_of(fields: Mapping[str, Any]) -> Server:
    """Return the server that the sidecar described.

    Raises:
        EngineUnavailable: when the description is none of ours, such as one of another version.
    """
    try:
        state = fields["state"]
        if state not in ("starting", "running", "stopped", "failed"):
            raise ValueError(state)
        return Server(
            spec=read_spec(fields["spec"]),
            state=state,
            mode=MODE,
            detail=_text(fields, "detail"),
            remedy=_text(fields, "remedy"),
            identity=_text(fields, "identity"),
            engine_state=_text(fields, "engine_state"),
            created_at=float(fields["created_at"]),
            started_at=float(fields["started_at"]),
            restarts=int(fields["restarts"]),
            cause=_text(fields, "cause"),
            facts=dict(fields.get("facts") or {}),
        )
    except (LookupError, TypeError, ValueError, Invalid) as error:
        text = f"the sidecar describes a server as we do not know it ({type(error).__name__})"
        raise EngineUnavailable(text, "run collector and sidecar from the same image") from error


def _line(fields: Mapping[str, Any]) -> LogLine:
    return LogLine(float(fields["time"]), "stdout" if fields["stream"] == "stdout" else "stderr", str(fields["text"]))


def _text(fields: Mapping[str, Any], name: str) -> str:
    return str(fields.get(name) or "")[:2000]
