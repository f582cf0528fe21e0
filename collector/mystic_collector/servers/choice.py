"""Which of two implementations does the work: the sidecar when it is there and healthy, else Docker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from mystic_collector.servers.errors import EngineUnavailable, UnknownServer
from mystic_collector.servers.protocol import Channel, Servers
from mystic_collector.servers.server import Health, LogLine, Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.tracing.step import step

_log = logging.getLogger("mystic_collector.servers")
T = TypeVar("T")
MEMORY = 2.0
"""Seconds for which an answer about health counts."""

_HOW = (
    "on Kubernetes run the 'mcp-sidecar' container beside the collector (MCP_SIDECAR_URL); elsewhere start a Docker "
    "engine and let the collector reach it (DOCKER_HOST, or its socket)"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One decision.

    Attributes:
        reason: in plain language.
    """

    servers: Servers
    reason: str


class ChosenServers:
    """Asks the sidecar's health at the start and again before a request, with a short memory.

    What runs in the other one is not lost from sight: a name that the chosen one does not know is looked for there, so
    servers that were started in Docker while the sidecar was away can still be listed, spoken to and stopped.

    Args:
        preferred: the sidecar's client; None where there is none to be asked.
        fallback: Docker; None where it is not wanted.
        memory: seconds; see :data:`MEMORY`.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        preferred: Servers | None,
        fallback: Servers | None,
        memory: float = MEMORY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order = tuple(one for one in (preferred, fallback) if one is not None)
        self._memory = memory
        self._clock = clock
        self._health: dict[int, tuple[float, Health]] = {}
        self._asking = asyncio.Lock()
        self._last = ""

    @property
    def mode(self) -> str:
        """What ran them last."""
        return self._last or "none"

    async def choose(self) -> Chosen:
        """Return who does the work now.

        Raises:
            EngineUnavailable: when nobody can, with how to get either.
        """
        said: list[str] = []
        for one in self._order:
            health = await self._asked(one)
            if health.ok:
                return self._told(one, said)
            said.append(f"{one.mode}: {health.reason}")
        told = "; ".join(said) or "MYSTIC_SERVERS=off, or names what is not there"
        raise EngineUnavailable(f"nothing here can run MCP servers ({told})", _HOW)

    def _told(self, one: Servers, said: list[str]) -> Chosen:
        reason = f"{one.mode} answers" + (f"; {'; '.join(said)}" if said else "")
        if one.mode != self._last:
            if said and self._last:
                _log.warning("MCP servers now run in %s (%s)", one.mode, "; ".join(said))
            else:
                _log.info("MCP servers run in %s", one.mode)
            self._last = one.mode
        return Chosen(one, reason)

    async def _asked(self, one: Servers) -> Health:
        async with self._asking:
            when, health = self._health.get(id(one), (float("-inf"), None))
            if health is None or self._clock() - when > self._memory:
                health = await one.health()
                self._health[id(one)] = (self._clock(), health)
            return health

    async def health(self) -> Health:
        """Tell who does the work, or why nobody does."""
        try:
            chosen = await self.choose()
        except EngineUnavailable as error:
            return Health(False, "none", error.what, error.remedy)
        health = await self._asked(chosen.servers)
        others = {one.mode: (await self._asked(one)).reason for one in self._order if one is not chosen.servers}
        return Health(True, health.mode, facts={**health.facts, **({"others": others} if others else {})})

    async def _try(self, ask: Callable[[Servers], Awaitable[T]]) -> T:
        """Ask the chosen one; when it has gone since its last sign of life, choose again, once."""
        chosen = (await self.choose()).servers
        try:
            return await ask(chosen)
        except EngineUnavailable:
            self._health.clear()
            again = (await self.choose()).servers
            if again is chosen:
                raise
            return await ask(again)

    async def _holder(self, name: str) -> Servers:
        """Return who has a server."""
        return (await self._held(name))[0]

    async def _held(self, name: str) -> tuple[Servers, Server]:
        """Return who has a server, and the server as it is."""
        await self.choose()
        unknown: UnknownServer | None = None
        for one in self._order:
            if not (await self._asked(one)).ok:
                continue
            try:
                return one, await one.status(name)
            except UnknownServer as error:
                unknown = error
            except EngineUnavailable:
                self._health.clear()
        raise unknown or EngineUnavailable(f"who has the server {name!r} cannot be told now", "ask again in a moment")

    async def start(self, spec: ServerSpec) -> Server:
        """Begin to start a server."""
        with step("start MCP server", mystic__server=spec.name):
            return await self._try(lambda one: one.start(spec))

    async def stop(self, name: str) -> Server:
        """End a server and take it away."""
        with step("stop MCP server", mystic__server=name):
            return await (await self._holder(name)).stop(name)

    async def restart(self, name: str) -> Server:
        """End a server and begin it anew, where it is."""
        with step("restart MCP server", mystic__server=name):
            return await (await self._holder(name)).restart(name)

    async def status(self, name: str, wait: float = 0.0) -> Server:
        """Return a server as it is."""
        holder, found = await self._held(name)
        return found if wait <= 0 or found.state != "starting" else await holder.status(name, wait)

    async def listed(self) -> tuple[Server, ...]:
        """Return all servers of all that answer."""
        await self.choose()
        found: dict[str, Server] = {}
        for one in reversed(self._order):
            if (await self._asked(one)).ok:
                try:
                    found |= {server.name: server for server in await one.listed()}
                except EngineUnavailable:
                    self._health.clear()
        return tuple(found[name] for name in sorted(found))

    async def logs(self, name: str, tail: int = 200, since: float = 0.0) -> tuple[LogLine, ...]:
        """Return the newest lines."""
        return await (await self._holder(name)).logs(name, tail, since)

    async def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        """Yield lines."""
        holder = await self._holder(name)
        async for line in holder.follow(name, tail, since):
            yield line

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Channel]:
        """Return the way to a running server's MCP side."""
        holder = await self._holder(name)
        async with holder.open(name) as channel:
            yield channel

    async def close(self) -> None:
        """Let go of all."""
        for one in self._order:
            await one.close()
