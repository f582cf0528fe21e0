"""The collector as a process: its application behind a listener, its streams ended before it."""

from __future__ import annotations

import gc
import resource
import socket
import sys

from starlette.applications import Starlette

from mystic_collector.app import build_app
from mystic_collector.listener import Listener, bind
from mystic_collector.parts import Parts
from mystic_collector.settings import Settings

_ENOUGH_FILES = 16_384
"""For the most streams and waiting connections there may be, and what else is open."""


_VALUES = 20_000
"""Made and not yet let go of, before cycles among them are looked for."""


class CollectorServer(Listener):
    """One collector over one listening socket.

    Args:
        settings: of the collector; the socket is bound at once, so that a taken port is an error here.
        alone: nothing else lives in this process.

    Raises:
        OSError: when the address cannot be bound.
        StoreError: when the data directory cannot be used.
    """

    def __init__(self, settings: Settings, alone: bool = False) -> None:
        self._alone = alone
        bound = bind(settings.host, settings.port)
        try:
            self.app: Starlette = build_app(settings, alone)
        except BaseException:
            bound.close()
            raise
        super().__init__(
            self.app,
            bound,
            settings.head_timeout,
            min(settings.max_waiting, _most_sockets() // 2),
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            ws_max_queue=16,
            timeout_keep_alive=75,
            backlog=512,
        )

    @property
    def parts(self) -> Parts:
        """What this collector is made of."""
        parts = self.app.state.parts
        assert isinstance(parts, Parts)  # noqa: S101 - tells the type checker
        return parts

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop by a signal or by ``should_exit``."""
        # The writing thread asks for the interpreter after every statement; at Python's own 5 ms it starves.
        sys.setswitchinterval(0.0005)
        if self._alone:
            # Answers are thousands of small values that hold no cycles; at Python's own 700 the collector of cycles
            # takes half of the time that it takes to read spans. What is there already stays for ever.
            gc.freeze()
            gc.set_threshold(_VALUES, 20, 20)
        super().run(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: they would otherwise be waited for."""
        self.parts.streams.close()
        self.app.state.chat.close()
        await self.parts.managed.leave()
        await super().shutdown(sockets=sockets)


def _most_sockets() -> int:
    """Return how many files this process may have open, after asking for as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, _ENOUGH_FILES)
    if soft < min(wanted, _ENOUGH_FILES):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, _ENOUGH_FILES), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
