"""WebSockets of the API server to one pod: its process's standard input and output, or a port of it."""

from __future__ import annotations

import asyncio

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from mystic_collector.servers import websocket
from mystic_collector.servers.errors import EngineUnavailable
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.refusals import refused

AT_ONCE = 32 * 1024
"""Bytes of one message; longer ones do not pass every API server."""

_PROTOCOL = Subprotocol("v4.channel.k8s.io")
_PATIENCE = 10.0


async def opened(cluster: Cluster, pod: str, what: str, **asked: str) -> ClientConnection:
    """Return a connection to a part of a pod; the first byte of every message is the number of a channel.

    An asynchronous client does this, and not the official one's: that takes a thread for every connection.

    Args:
        what: ``attach`` or ``portforward``.
        asked: query of the request, as the Kubernetes API has it.

    Raises:
        ServersError: when the API server refuses, or cannot be reached.
    """
    url, headers, secure, name = await cluster.ask(lambda: cluster.websocket(pod, what, asked))
    more = {"ssl": secure, **({"server_hostname": name} if name else {})} if secure else {}
    try:
        async with asyncio.timeout(_PATIENCE):
            return await websocket.opened(url, headers, _PATIENCE, subprotocols=[_PROTOCOL], **more)
    except InvalidStatus as error:
        raise refused(error.response.status_code, _told(error.response.body or b"")) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        text = f"the Kubernetes API does not let us reach the server's pod ({type(error).__name__})"
        raise EngineUnavailable(text, "ask again") from error


def _told(body: bytes | bytearray) -> str:
    try:
        found = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        return bytes(body).decode("utf-8", "replace")[:300]
    return str(found.get("message", ""))[:600] if isinstance(found, dict) else ""
