"""Servers with figures: whatever runs them, what it is asked and what it answers is counted on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.figures import Figures
from mystic_collector.servers.protocol import Channel, Servers
from mystic_collector.servers.server import Health, LogLine, Server
from mystic_collector.servers.spec import ServerSpec


class CountedServers:
    """Passes everything on; see :class:`~mystic_collector.servers.protocol.Servers`.

    A server that fails is counted once, when it is first seen to have failed, however often it is looked at.
    """

    def __init__(self, servers: Servers, figures: Figures) -> None:
        self._servers = servers
        self._figures = figures
        self._failed: set[str] = set()

    @property
    def mode(self) -> str:
        """What runs them."""
        return self._servers.mode

    async def health(self) -> Health:
        """Tell whether servers can be run now."""
        return await self._servers.health()

    async def start(self, spec: ServerSpec) -> Server:
        """Begin to start a server."""
        with self._refusals():
            found = await self._servers.start(spec)
        self._begun(found)
        return self._seen(found)

    async def stop(self, name: str) -> Server:
        """End a server and take it away."""
        found = await self._servers.stop(name)
        self._failed.discard(name)
        return found

    async def restart(self, name: str) -> Server:
        """End a server and begin it anew."""
        with self._refusals():
            found = await self._servers.restart(name)
        self._begun(found)
        return self._seen(found)

    async def status(self, name: str, wait: float = 0.0) -> Server:
        """Return a server as it is."""
        return self._seen(await self._servers.status(name, wait))

    async def listed(self) -> tuple[Server, ...]:
        """Return all servers."""
        found = tuple(self._seen(one) for one in await self._servers.listed())
        self._figures.listed(found)
        self._failed &= {one.name for one in found}
        return found

    async def logs(self, name: str, tail: int = 200, since: float = 0.0) -> tuple[LogLine, ...]:
        """Return the newest lines."""
        return await self._servers.logs(name, tail, since)

    def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        """Yield lines."""
        return self._servers.follow(name, tail, since)

    def open(self, name: str) -> AbstractAsyncContextManager[Channel]:
        """Return the way to a running server's MCP side."""
        return self._servers.open(name)

    async def close(self) -> None:
        """Let go of the engine."""
        await self._servers.close()

    def _begun(self, server: Server) -> None:
        self._figures.started(server)
        self._failed.discard(server.name)

    def _seen(self, server: Server) -> Server:
        if server.state != "failed":
            self._failed.discard(server.name)
        elif server.name not in self._failed:
            self._failed.add(server.name)
            self._figures.failed(server.cause or "failed")
        return server

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except ServersError as error:
            self._figures.failed(error.code)
            raise
