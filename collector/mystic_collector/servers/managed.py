"""All that a collector needs for managed servers, put together when it is first asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio

from mystic_collector.servers.choice import ChosenServers
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.launch import RUNNER_IMAGES
from mystic_collector.servers.protocol import Servers
from mystic_collector.servers.secrets import from_folder
from mystic_collector.servers.server import LogLine
from mystic_collector.servers.token import shared
from mystic_collector.settings import Settings
from mystic_collector.store.records import Incoming

if TYPE_CHECKING:
    from mystic_collector.servers.figures import Figures
    from mystic_collector.servers.gateway.calls import Calls
    from mystic_collector.servers.gateway.gateway import Gateway

_log = logging.getLogger("mystic_collector.servers")
FIGURES_EVERY = 10.0
"""Seconds between two times that changed figures go to the store."""

_PATIENCE = 5.0
"""Seconds that the end waits for an engine that is being asked."""


class Managed:
    """Servers, the gateway to them, and calls of their tools.

    The SDKs of Docker and MCP are imported late: a collector that manages nothing never pays for them.

    Args:
        settings: of the collector.
        servers: what runs them; from the settings when None.
        clock: Unix seconds.
        keep: takes figures to the store; None for nowhere.
    """

    def __init__(
        self,
        settings: Settings,
        servers: Servers | None = None,
        clock: Callable[[], float] = time.time,
        keep: Callable[[Sequence[Incoming]], object] | None = None,
    ) -> None:
        self.settings = settings
        self._given = servers
        self._clock = clock
        self._keep = keep
        self._keeping: asyncio.Task[None] | None = None
        self._told: list[dict[str, Any]] = []
        self._cleared: dict[str, float] = {}
        self._waking: asyncio.Task[None] | None = None
        self._warming = asyncio.Lock()
        self._ending = asyncio.Event()

    async def warm(self) -> Managed:
        """Import what is needed on a thread: it costs most of a second, once."""
        async with self._warming:
            if "gateway" not in self.__dict__:
                await asyncio.to_thread(lambda: (self.servers, self.gateway, self.calls))
                self._keeping = asyncio.create_task(self._keep_counting(), name="figures of servers")
        return self

    @cached_property
    def servers(self) -> Servers:
        """What runs them."""
        from mystic_collector.servers.counted import CountedServers

        return CountedServers(self._given or self._chosen(), self.figures)

    @cached_property
    def figures(self) -> Figures:
        """What is counted about them."""
        from mystic_collector.servers.figures import Figures

        return Figures()

    def _chosen(self) -> Servers:
        wanted = self.settings.servers
        sidecar = self._sidecar() if wanted in ("auto", "sidecar") else None
        return ChosenServers(sidecar, self._docker() if wanted in ("auto", "docker") else None)

    @cached_property
    def gateway(self) -> Gateway:
        """The way of MCP clients to them."""
        from mystic_collector.servers.gateway.gateway import Gateway

        return Gateway(self.servers, self.calls, self.figures)

    @cached_property
    def calls(self) -> Calls:
        """Their tools, for callers without a session."""
        from mystic_collector.servers.gateway.calls import Calls

        return Calls(self.servers, self.figures)

    def _sidecar(self) -> Servers:
        from mystic_collector.servers.sidecar import SidecarServers

        return SidecarServers(
            self.settings.sidecar_url, shared(self.settings.sidecar_token, self.settings.sidecar_token_file)
        )

    def _docker(self) -> Servers:
        from mystic_collector.servers.docker.servers import DockerServers

        return DockerServers(
            self._owner(),
            runners={**RUNNER_IMAGES, **self.settings.servers_images},
            secrets=from_folder(self.settings.servers_secrets),
            most=self.settings.servers_max,
            most_sessions=self.settings.servers_max_sessions,
        )

    def _owner(self) -> str:
        """Return the id under which this collector's servers are found again; it lives with its data."""
        path = self.settings.data_dir / "servers.id"
        try:
            return path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            path.write_text(f"{secrets.token_hex(8)}\n", encoding="ascii")
            return path.read_text(encoding="ascii").strip()

    def wake(self) -> None:
        """Ask what can run servers, and find those of a former process again, behind; call it on the event loop.

        A collector that has managed nothing yet and was told of no sidecar asks nobody.
        """
        settings = self.settings
        told = settings.servers == "sidecar" or settings.sidecar_token or settings.sidecar_token_file
        if settings.servers != "off" and (told or (settings.data_dir / "servers.id").exists()):
            self._waking = asyncio.create_task(self._find(), name="find servers")

    async def _find(self) -> None:
        try:
            found = await (await self.warm()).servers.listed()
        except ServersError as error:
            _log.warning("the servers of before cannot be found now: %s", error)
        else:
            _log.info("%d MCP servers of before were found", len(found))

    async def _keep_counting(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), FIGURES_EVERY)
            if not self._ending.is_set():
                with contextlib.suppress(ServersError):
                    await self.servers.listed()  # what nobody asks for is seen, too: a server that has failed
            self.keep_figures()

    def keep_figures(self) -> None:
        """Take figures to the store, unless they are those of the last time."""
        rows = self.figures.rows()
        if rows != self._told and self._keep is not None:
            self._keep(self.figures.read())
            self._told = rows

    def clear_logs(self, name: str) -> float:
        """Forget what a server has written until now; returns that moment."""
        self._cleared[name] = self._clock()
        return self._cleared[name]

    def since(self, name: str, since: float) -> float:
        """Return from when on a server's log counts."""
        return max(since, self._cleared.get(name, 0.0))

    async def follow(self, name: str, tail: int, since: float) -> AsyncIterator[LogLine]:
        """Yield a server's lines until it ends, or this collector does."""
        source = self.servers.follow(name, tail, self.since(name, since))
        over = asyncio.create_task(self._ending.wait())
        try:
            while True:
                line = asyncio.ensure_future(anext(source, None))
                try:
                    await asyncio.wait((line, over), return_when=asyncio.FIRST_COMPLETED)
                    found = line.result() if line.done() else None
                finally:
                    if not line.done():
                        line.cancel()
                        with anyio.CancelScope(shield=True):  # an answer nobody reads is cancelled until it has ended
                            await asyncio.wait((line,))
                if found is None:
                    return
                yield found
        finally:
            over.cancel()
            if isinstance(source, AsyncGenerator):
                with anyio.CancelScope(shield=True):
                    await source.aclose()

    async def leave(self) -> None:
        """End sessions and streams, so that a server that is shutting down need not wait for them."""
        self._ending.set()
        for part in ("calls", "gateway"):
            if part in self.__dict__:
                await self.__dict__[part].close()

    async def close(self) -> None:
        """End sessions and let go of the engines; servers go on."""
        if self._waking is not None:
            self._waking.cancel()
            await asyncio.wait([self._waking])
        await self.leave()
        if self._keeping is not None:
            await asyncio.wait([self._keeping], timeout=_PATIENCE)
            self._keeping.cancel()
        if "servers" in self.__dict__:
            await self.servers.close()
            self.figures.close()
