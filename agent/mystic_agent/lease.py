"""What of the set that the collector sends this process takes, and until when.

Strategies that ``MYSTIC_ALLOWED_STRATEGIES`` leaves out are refused here too, whatever the collector let in. A lease
ends here by itself: on time when the collector is away, and by a clock of ours that nobody sets.
"""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable, Sequence

from mystic_agent.contract.allowed import disallowed
from mystic_agent.contract.hijack import Hijack

Taken = tuple[tuple[Hijack, ...], tuple[tuple[str, str], ...]]
"""Hijacks, and (id, reason) of those that are refused."""


class Leases:
    """The leases of one set.

    Args:
        stage: ``MYSTIC_ENV``.
        allowed: names of the strategies that may be used; None for all.
        clock: seconds, monotonic.
        wall: Unix seconds.

    Attributes:
        lock: to be held from taking a set, or finding that a lease has ended, until that is in force.
    """

    def __init__(
        self,
        stage: str,
        allowed: Sequence[str] | None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.lock = _thread.RLock()
        self._stage = stage
        self._allowed = allowed
        self._clock = clock
        self._wall = wall
        self._hijacks: tuple[Hijack, ...] = ()
        self._refused: tuple[tuple[str, str], ...] = ()
        self._ends: dict[str, float] = {}

    def take(self, hijacks: Sequence[Hijack], rejected: Sequence[tuple[str, str]], now: float | None = None) -> Taken:
        """Take a whole set; return what of it is to be in force.

        Args:
            rejected: (id, reason) of those that could not be read.
            now: the sender's Unix seconds; None when it did not say, so that ours must do.
        """
        arrived, sent = self._clock(), self._wall() if now is None else now
        refused = {one.id: disallowed(one.strategies(self._stage), self._allowed) for one in hijacks}
        self._refused = (*rejected, *((identity, why) for identity, why in refused.items() if why))
        self._hijacks = tuple(one for one in hijacks if not refused[one.id])
        self._ends = {one.id: arrived + one.expires_at - sent for one in self._hijacks if one.expires_at is not None}
        return self._current()

    def end(self) -> Taken | None:
        """Return what is to be in force after leases that have ended, or None when none has since the last time."""
        now = self._clock()
        ended = {identity for identity, end in self._ends.items() if end <= now}
        if not ended:
            return None
        for identity in ended:
            del self._ends[identity]
        self._hijacks = tuple(one for one in self._hijacks if one.id not in ended)
        return self._current()

    def _current(self) -> Taken:
        now = self._clock()
        alive = tuple(one for one in self._hijacks if self._ends.get(one.id, now + 1) > now)
        return alive, self._refused
