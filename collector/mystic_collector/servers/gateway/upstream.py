"""From a channel to the SDK's two streams of messages, whatever the server speaks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import httpx2
import mcp_types
from mcp.client._transport import TransportStreams
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage

from mystic_collector.servers.errors import Unreachable
from mystic_collector.servers.protocol import Channel, Endpoint, Pipe

_log = logging.getLogger("mystic_collector.servers")
MOST_BYTES = 16 * 2**20
"""Of one message of a server; the end of a server that says more without a line's end."""

_CONNECT = 10.0
_SILENCE = 600.0
"""Seconds a server may take for an answer."""


def upstream(channel: Channel) -> AbstractAsyncContextManager[TransportStreams]:
    """Return a transport of the SDK over a channel."""
    if isinstance(channel, Endpoint):
        return _sse(channel) if channel.transport == "sse" else _http(channel)
    return _stdio(channel)


@asynccontextmanager
async def _http(endpoint: Endpoint) -> AsyncIterator[TransportStreams]:
    patience = httpx2.Timeout(_CONNECT, read=_SILENCE)
    # Proxies of the environment are for the outside; a managed server is near.
    async with (
        httpx2.AsyncClient(headers=dict(endpoint.headers), timeout=patience, trust_env=False) as client,
        streamable_http_client(endpoint.url, http_client=client, max_sse_event_size=MOST_BYTES) as streams,
    ):
        yield streams


@asynccontextmanager
async def _sse(endpoint: Endpoint) -> AsyncIterator[TransportStreams]:
    async with sse_client(endpoint.url, dict(endpoint.headers), _CONNECT, _SILENCE) as streams:
        yield streams


@asynccontextmanager
async def _stdio(pipe: Pipe) -> AsyncIterator[TransportStreams]:
    """Messages are lines of JSON, as MCP has them on standard input and output."""
    into, incoming = create_context_streams[SessionMessage | Exception](0)
    outgoing, out_of = create_context_streams[SessionMessage](0)

    async def read() -> None:
        rest = bytearray()
        async with into:
            while data := await pipe.receive():
                *lines, last = (rest + data).split(b"\n")
                rest = bytearray(last)
                if len(rest) > MOST_BYTES:
                    _log.warning("a server wrote more than %d bytes without a line's end: its session ends", MOST_BYTES)
                    return
                for line in lines:
                    if (message := _parsed(bytes(line))) is not None:
                        await into.send(message)

    async def write() -> None:
        async with out_of:
            async for message in out_of:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await pipe.send(text.encode() + b"\n")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_until_gone, read)
        tasks.start_soon(_until_gone, write)
        try:
            yield incoming, outgoing
        finally:
            tasks.cancel_scope.cancel()
            for stream in (into, incoming, outgoing, out_of):
                stream.close()


async def _until_gone(run: Callable[[], Awaitable[None]]) -> None:
    """Run one direction; that the other side has gone is how it ends, and seen by the other direction."""
    with contextlib.suppress(Unreachable, anyio.ClosedResourceError, anyio.BrokenResourceError):
        await run()


def _parsed(line: bytes) -> SessionMessage | None:
    """Return the message in a line; None for a line that is none, such as a stray print of the server."""
    if not line.strip():
        return None
    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        _log.debug("a server wrote a line to standard output that is no message")
        return None
