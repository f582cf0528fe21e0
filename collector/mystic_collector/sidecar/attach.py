"""Standard input and output of a pod's process, over the API server's attach connection."""

from __future__ import annotations

import contextlib

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from mystic_collector.servers.errors import Unreachable
from mystic_collector.sidecar.cluster import CONTAINER, Cluster
from mystic_collector.sidecar.stream import AT_ONCE, opened

_STDIN, _STDOUT = 0, 1


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
            for at in range(0, len(data), AT_ONCE):
                await self._connection.send(bytes([_STDIN]) + data[at : at + AT_ONCE])
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

    Raises:
        ServersError: when the API server refuses, or cannot be reached.
    """
    return AttachedPipe(
        await opened(cluster, pod, "attach", container=CONTAINER, stdin="true", stdout="true", stderr="false")
    )
