"""Computations under way, so that many callers of one key wait for one of them.

Threads wait for threads, and tasks for tasks of their own event loop. Waiting is bounded: a leader may need a lock that
the waiting caller holds, and without a cache nobody would have waited.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

WAIT_SECONDS = 30.0


class Flight:
    """One computation.

    Attributes:
        owner: identity of the thread, or the task, that leads it.
        ended: waited for; a threading.Event, or a future of the leader's loop.
        cut: it ended without an outcome, because it was cancelled: one of those who waited takes its place.
    """

    __slots__ = ("cut", "ended", "owner")

    def __init__(self, owner: object, ended: Any) -> None:
        self.owner = owner
        self.ended = ended
        self.cut = False


class Flights:
    """What is under way in one function's cache."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}
        self._renewals: dict[Hashable, object] = {}

    def __len__(self) -> int:
        """Return how many computations are under way."""
        return len(self._flights) + len(self._renewals)

    def reset(self) -> None:
        """Wait for nobody: what was under way is so in another process."""
        self._flights.clear()
        self._renewals.clear()

    def board(self, key: Hashable) -> tuple[Flight, bool]:
        """Return the flight of ``key`` among threads, and whether the caller leads it and must :meth:`land` it."""
        mine = Flight(_thread.get_ident(), threading.Event())
        flight = self._flights.setdefault(key, mine)
        return flight, flight is mine

    def land(self, key: Hashable, flight: Flight, cut: bool) -> None:
        """End a flight, and let those go who wait for it."""
        flight.cut = cut
        self._flights.pop(key, None)
        flight.ended.set()

    def wait(self, flight: Flight, seconds: float = WAIT_SECONDS) -> bool:
        """Wait for another thread's flight; False for one's own, and when it takes too long.

        A thread that runs an event loop does not wait: the leader may be in need of that loop.
        """
        asyncio = sys.modules.get("asyncio")
        if flight.owner == _thread.get_ident() or (asyncio is not None and asyncio._get_running_loop() is not None):
            return False
        return bool(flight.ended.wait(seconds))

    def board_loop(self, key: Hashable, loop: asyncio.AbstractEventLoop) -> tuple[Flight, bool]:
        """As :meth:`board`, among the tasks of ``loop``."""
        import asyncio

        known = self._flights.get((loop, key))
        if known is not None:
            return known, False
        mine = Flight(asyncio.current_task(loop), loop.create_future())
        flight = self._flights.setdefault((loop, key), mine)
        return flight, flight is mine

    def land_loop(self, key: Hashable, loop: asyncio.AbstractEventLoop, flight: Flight, cut: bool) -> None:
        """As :meth:`land`; a loop that has been closed under the flight has nobody left who waits."""
        flight.cut = cut
        self._flights.pop((loop, key), None)
        if not flight.ended.done() and not loop.is_closed():
            flight.ended.set_result(None)

    async def wait_loop(self, flight: Flight, seconds: float = WAIT_SECONDS) -> bool:
        """As :meth:`wait`, among tasks."""
        import asyncio

        if flight.owner is not None and flight.owner is asyncio.current_task():
            return False
        ended, _ = await asyncio.wait((flight.ended,), timeout=seconds)
        return bool(ended)

    def claim(self, key: Hashable) -> bool:
        """True for the one caller that is to compute a stale result anew; it must :meth:`disclaim` afterwards."""
        mine = object()
        return self._renewals.setdefault(key, mine) is mine

    def hold(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        """Keep the task that computes ``key`` anew: event loops themselves hold tasks only weakly."""
        if not task.done():
            self._renewals[key] = task

    def disclaim(self, key: Hashable) -> None:
        """The stale result has been computed anew, or could not be."""
        self._renewals.pop(key, None)

    def sweep(self) -> None:
        """Forget tasks whose event loop was closed before they could end. Called by the agent's thread."""
        for key, task in list(self._renewals.items()):
            loop = task.get_loop() if hasattr(task, "get_loop") else None
            if loop is not None and loop.is_closed():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # the application did not make it
                self.disclaim(key)
