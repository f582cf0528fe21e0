"""Lines on their way from the threads that read them to the event loop that yields them."""

from __future__ import annotations

import asyncio
import contextlib

from mystic_collector.servers.server import LogLine

_WAITING = 1000
"""Lines that wait for a slow reader; the oldest go."""


class Lines:
    """A bounded queue into the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue = asyncio.Queue[LogLine | None](_WAITING)

    def tell(self, line: LogLine | None) -> None:
        """Put a line, or None for the end; for threads, and never waits."""
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
            self._loop.call_soon_threadsafe(self._put, line)

    def _put(self, line: LogLine | None) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(line)

    async def next(self) -> LogLine | None:
        """Return the next line, or None for the end of one thread."""
        return await self._queue.get()
