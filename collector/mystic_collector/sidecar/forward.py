"""A pod's port on loopback, over the API server: for a sidecar that is not in the network of the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from mystic_collector.servers.errors import ServersError
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.stream import AT_ONCE, opened

_log = logging.getLogger("mystic_collector.sidecar")
_DATA, _ERROR = 0, 1
_HERE = "127.0.0.1"


@asynccontextmanager
async def forwarded(cluster: Cluster, pod: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Yield an address of loopback; every connection to it is one to ``port`` inside the pod, until it is left.

    Raises:
        ServersError: when the API server refuses, or cannot be reached.
    """
    # One connection is made before anybody asks for it, so that a refusal is told in the API server's words.
    first = [await opened(cluster, pod, "portforward", ports=str(port))]
    carried: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            connection = first.pop() if first else await opened(cluster, pod, "portforward", ports=str(port))
            await _carry(connection, reader, writer)
        except ServersError as error:
            _log.warning("port %d of %s cannot be reached: %s", port, pod, error)
        except asyncio.CancelledError:
            writer.transport.abort()  # nobody reads what is left
            raise
        finally:
            writer.close()

    def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer), name=f"port {port} of {pod}")
        carried.add(task)
        task.add_done_callback(carried.discard)

    server = await asyncio.start_server(arrived, _HERE, 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        for task in tuple(carried):
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)
        for unused in first:
            await _let_go(unused)


async def _carry(connection: ClientConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on both ways until either side has gone; there is no half of a connection here."""
    tasks = [asyncio.create_task(_up(connection, reader)), asyncio.create_task(_down(connection, writer))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _let_go(connection)


async def _up(connection: ClientConnection, reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while data := await reader.read(AT_ONCE):
            await connection.send(bytes([_DATA]) + data)


async def _down(connection: ClientConnection, writer: asyncio.StreamWriter) -> None:
    greeted: set[int] = set()
    with contextlib.suppress(ConnectionClosed, OSError):
        while True:
            data = await connection.recv(decode=False)
            channel, content = data[0] if data else -1, data[1:]
            if channel not in greeted:  # its first message is the number of the port
                greeted.add(channel)
            elif channel == _DATA:
                writer.write(content)
                await writer.drain()
            elif channel == _ERROR:
                _log.warning("a pod did not take a connection: %s", content.decode("utf-8", "replace")[:300])
                return


async def _let_go(connection: ClientConnection) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        await connection.close()
