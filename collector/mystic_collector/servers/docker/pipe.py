"""Standard input and output of a container's process, over the engine's attach connection."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Any

from docker import DockerClient

from mystic_collector.servers.docker.engine import Engine
from mystic_collector.servers.errors import Rejected, Unreachable

_AT_ONCE = 64 * 1024
_HEAD = 8
_STDOUT = 1


class Frames:
    """Takes the engine's frames apart: one byte of stream, three of nothing, four of length, then the bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def take(self, data: bytes) -> bytes:
        """Take what came and return what of it is standard output."""
        self._rest += data
        found = bytearray()
        while len(self._rest) >= _HEAD:
            end = _HEAD + int.from_bytes(self._rest[4:_HEAD])
            if len(self._rest) < end:
                break
            if self._rest[0] == _STDOUT:
                found += self._rest[_HEAD:end]
            del self._rest[:end]
        return bytes(found)


class AttachedPipe:
    """A :class:`~mystic_collector.servers.protocol.Pipe` over one attach connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.setblocking(False)
        self._frames = Frames()

    async def send(self, data: bytes) -> None:
        """Write all of ``data``."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._connection, data)
        except OSError as error:
            raise Unreachable("the server's process has ended", "open a new session, and read its logs") from error

    async def receive(self) -> bytes:
        """Return the next bytes of standard output, or ``b""`` once the process has ended."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.sock_recv(self._connection, _AT_ONCE)
            except OSError:
                return b""
            if not data:
                return b""
            if found := self._frames.take(data):
                return found

    def end_input(self) -> None:
        """Let the process see the end of its input, which is how it is asked to go."""
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


async def attach(engine: Engine, identity: str) -> AttachedPipe:
    """Return the pipe of a running container's process.

    Standard error stays with the engine, which keeps it as the server's log. Nothing can be lost between the
    engine's reply and the first read: an MCP server writes to standard output only when it is spoken to.
    """
    return AttachedPipe(await engine.ask(lambda client: _connect(client, identity)))


def _connect(client: DockerClient, identity: str) -> socket.socket:
    wanted: Any = {"stdin": 1, "stdout": 1, "stream": 1}
    found: Any = client.api.attach_socket(identity, wanted)
    inner = getattr(found, "_sock", found)
    if not isinstance(inner, socket.socket) or isinstance(inner, ssl.SSLSocket):
        _end(found)
        raise Rejected(
            "stdio servers need the Docker engine on a plain socket, and DOCKER_HOST leads over TLS or SSH",
            "use the engine's own socket, or a proxy on this machine",
        )
    try:
        # A descriptor of our own: the SDK's belongs to a reply that ends with it.
        return socket.socket(fileno=os.dup(inner.fileno()))
    finally:
        _end(found)


def _end(found: Any) -> None:
    """Close what the SDK has open for a connection: the reply, and the socket under it."""
    reply = getattr(found, "_response", None)
    (reply if reply is not None else found).close()
