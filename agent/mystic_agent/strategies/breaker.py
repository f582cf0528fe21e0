"""The state of a circuit breaker: closed, open or half open. Pure but for its lock and the clock it is given.

closed     calls pass, and their outcomes of the last ``window`` are counted, in ten slots of time that go one by one;
open       no call passes until ``open_for`` has gone by;
half open  one call at a time passes, to probe; ``probes`` successes in a row close it, one failure opens it again.

Every change begins a new epoch. A call carries the epoch that let it in, and what comes of it counts only in that
epoch: a slow call of yesterday's state decides nothing today. A probe that is cancelled gives its permission back, and
one that takes longer than ``open_for`` loses it to another.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from time import monotonic_ns

from mystic_agent.contract.named import NamedTuple

SLOTS = 10
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
SUCCEEDED, FAILED, NEITHER = "succeeded", "failed", "neither"
_WHOLE = 1_000_000


class Limits(NamedTuple):
    """When it opens and closes.

    Attributes:
        ratio: share of failures in the window that opens it.
        failures: number of failures in the window that opens it; 0 for none.
        minimum: calls in the window below which ``ratio`` says nothing.
        window, open_for: nanoseconds.
        probes: successes in a row that close it.
    """

    ratio: float
    failures: int
    minimum: int
    window: int
    open_for: int
    probes: int


class Permit(NamedTuple):
    """What a call is told.

    Attributes:
        epoch: to be handed back with the outcome; -1 when the call may not pass.
        state: in which it was let in or not.
        turned: it was this call that made it half open.
    """

    epoch: int
    state: str
    turned: bool = False


class Breaker:
    """One breaker, exact under threads.

    Args:
        limits: see there.
        clock: nanoseconds, monotonic.

    Attributes:
        closed: what every call is told while it is closed, which needs no lock to be read; None otherwise.
    """

    def __init__(self, limits: Limits, clock: Callable[[], int] = monotonic_ns) -> None:
        self.state = CLOSED
        self._limits = limits
        self._clock = clock
        self._ratio = round(limits.ratio * _WHOLE)
        self._slot = max(1, limits.window // SLOTS)
        self._lock = _thread.RLock()
        self._epoch = 0
        self.closed: Permit | None = Permit(0, CLOSED)
        self._until = 0
        self._probing = False
        self._successes = 0
        self._position = clock() // self._slot
        self._slots = [[0, 0] for _ in range(SLOTS)]  # (calls, failures) of each
        self._at = 0  # the slot of now; the one after it is the oldest
        self._calls = self._failures = 0

    def ask(self) -> Permit:
        """May a call pass now?"""
        with self._lock:
            if self.closed is not None:
                return self.closed
            now = self._clock()
            turned = (self.state == OPEN or self._probing) and now >= self._until
            if turned:
                self._turn(HALF_OPEN)
            if self.state == HALF_OPEN and not self._probing:
                self._probing, self._until = True, now + self._limits.open_for
                return Permit(self._epoch, HALF_OPEN, turned)
            return Permit(-1, OPEN)

    def tell(self, epoch: int, outcome: str) -> str:
        """Take the outcome of a call; return the state it has changed to, or an empty text."""
        with self._lock:
            if epoch != self._epoch:
                return ""
            if self.state == CLOSED:
                return self._count(outcome == FAILED) if outcome != NEITHER else ""
            self._probing = False
            if outcome == FAILED:
                return self._turn(OPEN)
            self._successes += outcome == SUCCEEDED
            return self._turn(CLOSED) if self._successes >= self._limits.probes else ""

    def reset(self) -> None:
        """Take a new lock and the permission back, as a forked child must: the probe runs in the parent."""
        self._lock = _thread.RLock()
        self._probing = False

    def _count(self, failed: bool) -> str:
        position = self._clock() // self._slot
        if position != self._position:
            self._advance(position)
        slot = self._slots[self._at]
        slot[0] += 1
        self._calls += 1
        if failed:
            slot[1] += 1
            self._failures += 1
        if not self._failures:
            return ""
        limits = self._limits
        too_many = 0 < limits.failures <= self._failures
        too_large = self._calls >= limits.minimum and self._failures * _WHOLE >= self._ratio * self._calls
        return self._turn(OPEN) if too_many or too_large else ""

    def _advance(self, position: int) -> None:
        """Let the slots go that are no longer in the window."""
        for _ in range(min(position - self._position, SLOTS)):
            self._at = (self._at + 1) % SLOTS
            slot = self._slots[self._at]
            self._calls -= slot[0]
            self._failures -= slot[1]
            slot[:] = 0, 0
        self._position = position

    def _turn(self, state: str) -> str:
        self.state = state
        self._epoch += 1
        self.closed = Permit(self._epoch, CLOSED) if state == CLOSED else None
        self._probing = False
        self._successes = 0
        if state == OPEN:
            self._until = self._clock() + self._limits.open_for
        self._position = self._clock() // self._slot
        self._slots = [[0, 0] for _ in range(SLOTS)]
        self._calls = self._failures = 0
        return state
