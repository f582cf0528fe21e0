"""One client's session with one server, and the upstream that is only its."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import anyio
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from starlette.types import Receive, Scope, Send

from mystic_collector.servers.errors import ServersError, Unreachable
from mystic_collector.servers.figures import Figures
from mystic_collector.servers.gateway.upstream import upstream
from mystic_collector.servers.protocol import Servers

_log = logging.getLogger("mystic_collector.servers")
_LAST_WORDS = 5.0
"""Seconds for answers that are under way when a session ends."""

_Requests = ReadStream[SessionMessage | Exception]
_Replies = WriteStream[SessionMessage]


class _Asked(NamedTuple):
    """A request that waits for its answer, since ``at`` (monotonic seconds)."""

    method: str
    token: Any
    at: float


class Session:
    """Passes messages between a client's streamable HTTP and an upstream of its own.

    Args:
        identity: of the session, as the client sends it.
        idle: seconds without a request or an open stream after which it ends.
        over: called when nothing more can be asked of it.
        figures: are told of every answer.
    """

    def __init__(
        self, servers: Servers, name: str, identity: str, idle: float, over: Callable[[], None], figures: Figures
    ) -> None:
        self.name = name
        self._figures = figures
        self._transport = StreamableHTTPServerTransport(mcp_session_id=identity, idle_timeout=idle)
        self._servers = servers
        self._over = over
        self._ready = asyncio.Event()
        self._up: asyncio.Future[_Replies] = asyncio.get_running_loop().create_future()
        self._asked: dict[Any, _Asked] = {}
        self._posts = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._task = asyncio.create_task(self._run(), name=f"session of {name}")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request of the client."""
        await self._ready.wait()
        posted = scope["method"] == "POST"
        self._posts += posted
        self._quiet.clear() if self._posts else None
        try:
            await self._transport.handle_request(scope, receive, send)
        finally:
            self._posts -= posted
            if not self._posts:
                self._quiet.set()
            if self._transport.is_terminated:
                self._task.cancel()

    async def end(self) -> None:
        """End both sides."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            async with self._transport.connect() as (requests, replies):
                idle = self._transport.idle_scope or anyio.CancelScope()
                self._ready.set()
                try:
                    with idle:
                        await self._serve(requests, replies)
                finally:
                    self._over()
                    with anyio.CancelScope(shield=True):
                        await self._transport.terminate()
        finally:
            self._ready.set()
            self._over()
            if not self._up.done():
                self._up.cancel()

    async def _serve(self, requests: _Requests, replies: _Replies) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, requests, replies)
            cause = await self._connect(replies)
            if self._up.done():  # what comes from now on has no upstream
                self._up = asyncio.get_running_loop().create_future()
            self._up.set_exception(cause)
            self._up.exception()  # that nobody waits for it is fine
            self._over()
            for request in tuple(self._asked):
                await self._refuse(request, cause, replies)
            with anyio.move_on_after(_LAST_WORDS):
                await self._quiet.wait()
            tasks.cancel_scope.cancel()

    async def _connect(self, replies: _Replies) -> ServersError:
        """Hold the upstream and pass its messages down; return why it ended."""
        try:
            async with self._servers.open(self.name) as channel, upstream(channel) as (read, write):
                self._up.set_result(write)
                await self._pass_down(read, replies)
        except ServersError as error:
            return error
        except (OSError, *_BROKEN) as error:
            _log.info("a session of server %r ended: %r", self.name, error)
        except BaseExceptionGroup as group:
            # The SDK's transports fail in groups, with whatever their HTTP client raises; a cancellation is none of it.
            rest = group.split(Exception)[1]
            if rest is not None:
                raise rest from None
            _log.info("a session of server %r ended: %r", self.name, group.exceptions[0])
        return await self._why()

    async def _why(self) -> ServersError:
        try:
            found = await self._servers.status(self.name)
        except ServersError as error:
            return error
        if found.state != "running" and found.detail:
            return Unreachable(f"the server {self.name!r} has ended: {found.detail}", found.remedy)
        return Unreachable(f"the server {self.name!r} has ended this session", "open a new one, and read its logs")

    async def _listen(self, requests: _Requests, replies: _Replies) -> None:
        with suppress(*_BROKEN):  # the client has ended the session
            await self._pass_up(requests, replies)

    async def _pass_up(self, requests: _Requests, replies: _Replies) -> None:
        async for item in requests:
            if isinstance(item, Exception):
                continue  # the transport has answered it
            message = item.message
            if isinstance(message, JSONRPCRequest):
                meta = (message.params or {}).get("_meta") or {}
                token = meta.get("progressToken") if isinstance(meta, dict) else None
                self._asked[message.id] = _Asked(message.method, token, time.monotonic())
            try:
                up = await asyncio.shield(self._up)
                await up.send(SessionMessage(message))
            except ServersError as error:
                if isinstance(message, JSONRPCRequest):
                    await self._refuse(message.id, error, replies)
            except _BROKEN:
                continue  # the upstream has gone: _serve answers what is asked

    async def _pass_down(self, read: _Requests, replies: _Replies) -> None:
        async for item in read:
            if isinstance(item, Exception):
                _log.info("the server %r said what is no message: %s", self.name, type(item).__name__)
                continue
            message, related = item.message, None
            if isinstance(message, JSONRPCResponse | JSONRPCError):
                if message.id not in self._asked:
                    continue  # an answer to what nobody asked, or was told already
                self._answered(message.id, "error" if isinstance(message, JSONRPCError) else "ok")
            else:
                related = self._related(message)
            await replies.send(SessionMessage(message, ServerMessageMetadata(related_request_id=related)))

    def _related(self, message: JSONRPCRequest | JSONRPCNotification) -> Any:
        """Return the client's request on whose stream a server's own message goes.

        The pipe of a server does not say. Progress names its token; anything else goes with the newest request that
        is being answered, or on the client's standing stream when there is none.
        """
        if message.method == "notifications/progress":
            token = (message.params or {}).get("progressToken")
            for request, asked in self._asked.items():
                if asked.token is not None and asked.token == token:
                    return request
        return next(reversed(self._asked), None)

    def _answered(self, request: Any, outcome: str) -> None:
        asked = self._asked.pop(request, None)
        if asked is not None:
            self._figures.called(self.name, asked.method, outcome, time.monotonic() - asked.at)

    async def _refuse(self, request: Any, cause: ServersError, replies: _Replies) -> None:
        self._answered(request, "lost")
        error = ErrorData(code=INTERNAL_ERROR, message=str(cause), data=cause.to_json())
        with suppress(*_BROKEN):  # nobody waits for it any more
            await replies.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=request, error=error)))


_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
