"""Which figures the receivers already have, so that functions nobody calls cost nothing every second."""

from __future__ import annotations

from collections.abc import Sequence

from mystic_agent.records import Reading
from mystic_agent.threads import Lock

FULL_EVERY = 60.0


class Ledger:
    """Remembers, per function, how far all receivers have acknowledged its figures.

    The figures are cumulative, and a receiver keeps what it has: a function without a new call need not be said
    again. ``total_ns + buckets[0] + errors`` grows with every call, so that one number tells whether there was one.
    Everything is said again after :meth:`forget`, and every FULL_EVERY seconds for receivers that let series lapse.

    Args:
        receivers: how many have to take a collection before it counts as acknowledged.
    """

    def __init__(self, receivers: int) -> None:
        self._receivers = receivers
        self._lock = Lock()
        self._known: dict[str, int] = {}
        self._open: dict[int, tuple[dict[str, int], int]] = {}
        self._generation = 0
        self._full_at = 0.0

    def select(self, readings: Sequence[Reading], now: float) -> tuple[int, list[Reading]]:
        """Return a new generation and the readings it has to hold.

        Args:
            now: monotonic seconds.
        """
        with self._lock:
            self._generation += 1
            if now >= self._full_at:
                self._full_at = now + FULL_EVERY
                self._known.clear()
            known = self._known.get
            chosen = [one for one in readings if known(one.function) != _progress(one)]
            return self._generation, chosen

    def sent(self, generation: int, readings: Sequence[Reading], parts: int) -> None:
        """Say that ``generation`` is on its way in so many payloads; older ones can no longer be acknowledged."""
        with self._lock:
            self._open = {generation: ({one.function: _progress(one) for one in readings}, parts * self._receivers)}

    def delivered(self, generation: int) -> None:
        """One payload of ``generation`` was accepted by one receiver."""
        with self._lock:
            figures, left = self._open.pop(generation, (None, 0))
            if figures is None:
                return
            if left > 1:
                self._open[generation] = (figures, left - 1)
            else:
                self._known.update(figures)

    def forget(self) -> None:
        """Say everything again: a receiver was away and may have lost what it had."""
        with self._lock:
            self._open.clear()
            self._known.clear()


def _progress(reading: Reading) -> int:
    return reading.total_ns + reading.buckets[0] + reading.errors
