"""A token bucket: so many calls at once, and so many for every stretch of time. Exact under threads."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from math import ceil
from time import monotonic_ns


class Bucket:
    """Kept as the moment at which it would be full again, which needs no refilling (GCRA, ITU-T I.371, annex A).

    Args:
        rate: calls in ``per`` seconds.
        per: see there.
        burst: calls at once; 0 for ``rate``, rounded up.
        clock: nanoseconds, monotonic.
    """

    def __init__(self, rate: float, per: float, burst: int, clock: Callable[[], int] = monotonic_ns) -> None:
        self._each = max(1, round(per * 1e9 / rate))
        self._room = ((burst or ceil(rate)) - 1) * self._each
        self._clock = clock
        self._full_at = clock()
        self._lock = _thread.RLock()

    def take(self, longest: int) -> int | None:
        """Take one call; return the nanoseconds to wait for it, or None when that is more than ``longest``."""
        with self._lock:
            now = self._clock()
            full_at = self._full_at if self._full_at > now else now
            wait = full_at - self._room - now
            if wait > longest and wait > 0:
                return None
            self._full_at = full_at + self._each
            return wait if wait > 0 else 0

    def give_back(self) -> None:
        """Return a call that was taken and not made."""
        with self._lock:
            self._full_at -= self._each

    def reset(self) -> None:
        """Take a new lock, as a forked child must."""
        self._lock = _thread.RLock()
