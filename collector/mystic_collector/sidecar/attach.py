"""Standard input and output of a pod's process, over the API server's attach connection."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from mystic_collector.servers.errors import EngineUnavailable, Unreachable
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.refusals import refused

_STDIN, _STDOUT = 0, 1
_PROTOCOL = Subprotocol("v4.channel.k8s.io")
_PATIENCE = 10.0
_AT_ONCE = 32 * 1024
_MOST = 16 * 2**20


class AttachedPipe:
    """A :class:`~mystic_collector.servers.protocol.Pipe` over one attach connection.

    Attributes:
        ended: True once the process has ended, or the connection to it.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.ended = False

    async def send(self, data: bytes) -> None:
        """Write all of ``data``."""
        try:
            for at in range(0, len(data), _AT_ONCE):
                await self._connection.send(bytes([_STDIN]) + data[at : at + _AT_ONCE])
        except ConnectionClosed as error:
            self.ended = True
            raise Unreachable("the server's process has ended", "open a new session, and read its logs") from error

    async def receive(self) -> bytes:
        """Return the next bytes of standard output, or ``b""`` once the process has ended."""
        while True:
            try:
                data = await self._connection.recv(decode=False)
            except ConnectionClosed:
                self.ended = True
                return b""
            if data[:1] == bytes([_STDOUT]) and len(data) > 1:
                return data[1:]

    async def close(self) -> None:
        """Let go of the connection, and with it of the process's input."""
        with contextlib.suppress(OSError, TimeoutError):
            await self._connection.close()


async def attach(cluster: Cluster, pod: str) -> AttachedPipe:
    """Return the pipe of a running pod's process.

    An asynchronous client does this, and not the official one's: that takes a thread for every session.

    Raises:
        ServersError: when the API server refuses, or cannot be reached.
    """
    url, headers, secure, name = await cluster.ask(lambda: cluster.attach(pod))
    more = {"ssl": secure, **({"server_hostname": name} if name else {})} if secure else {}
    try:
        async with asyncio.timeout(_PATIENCE):
            connection = await connect(
                url,
                subprotocols=[_PROTOCOL],
                additional_headers=headers,
                open_timeout=_PATIENCE,
                ping_interval=30,
                ping_timeout=60,
                close_timeout=2,
                max_size=_MOST,
                proxy=None,
                compression=None,
                **more,  # type: ignore[arg-type]  # of its server's socket
            )
    except InvalidStatus as error:
        raise refused(error.response.status_code, _told(error.response.body or b"")) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        text = f"the Kubernetes API does not let us reach the server's process ({type(error).__name__})"
        raise EngineUnavailable(text, "ask again") from error
    return AttachedPipe(connection)


def _told(body: bytes | bytearray) -> str:
    try:
        found = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        return bytes(body).decode("utf-8", "replace")[:300]
    return str(found.get("message", ""))[:600] if isinstance(found, dict) else ""
