"""Lines on their way from the threads that read them to the event loop that yields them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from mystic_collector.servers.server import LogLine

_WAITING = 1000
"""Lines that wait for a slow reader; the oldest go."""


class Lines:
    """What threads tell, for one reader in the event loop that made this; over once every thread has ended.

    Ends are counted apart from lines, so that none goes with the oldest lines of a slow reader, who would wait for it.
    """

    def __init__(self, threads: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines = deque[LogLine](maxlen=_WAITING)
        self._reading = threads
        self._fresh = asyncio.Event()

    def tell(self, line: LogLine) -> None:
        """Hand over a line; for threads, and never waits."""
        self._soon(line)

    def end(self) -> None:
        """Say that a thread has read all there is; for that thread, once."""
        self._soon(None)

    def _soon(self, line: LogLine | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
            self._loop.call_soon_threadsafe(self._put, line)

    def _put(self, line: LogLine | None) -> None:
        if line is None:
            self._reading -= 1
        else:
            self._lines.append(line)
        self._fresh.set()

    async def __aiter__(self) -> AsyncIterator[LogLine]:
        while self._lines or self._reading:
            if self._lines:
                yield self._lines.popleft()
            else:
                self._fresh.clear()
                await self._fresh.wait()
