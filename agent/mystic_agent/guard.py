"""The one place where a failure of ours ends: counted, remembered once, never passed to the host.

It is the only module of the agent that says ``Exception``: others that must catch use FAULTS from here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, ParamSpec, Protocol, TypeVar

from mystic_agent.contract.named import NamedTuple

FAULTS = (Exception,)
"""What the guard stops; call-path code that cannot afford :meth:`Guard.run` catches it and calls :meth:`Guard.note`."""

P = ParamSpec("P")
R = TypeVar("R")


class Fault(NamedTuple):
    """One kind of failure: where it happened and what it was (type name only, its text may hold secrets)."""

    where: str
    error: str


class Stopping(Protocol):
    """What stops our own failures; ``note`` says what becomes of one."""

    __slots__ = ()

    def run(self, where: str, work: Callable[P, R], fallback: R, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``work(*args, **kwargs)``, or ``fallback`` after a failure that is noted under ``where``."""
        try:
            return work(*args, **kwargs)
        except FAULTS as error:
            self.note(where, error)
            return fallback

    def note(self, where: str, error: BaseException) -> None:
        """Take one failure."""


class Guard(Stopping):
    """Runs our own code so that nothing it does reaches the host.

    Attributes:
        faults: how often each kind of failure happened; bounded.
        recent: the latest distinct kinds, newest last.
    """

    MOST_KINDS = 200

    def __init__(self) -> None:
        self.faults: dict[Fault, int] = {}
        self.recent: deque[Fault] = deque(maxlen=50)

    def note(self, where: str, error: BaseException) -> None:
        """Remember one failure."""
        fault = Fault(where, type(error).__name__)
        known = self.faults.get(fault)
        if known is None:
            if len(self.faults) >= self.MOST_KINDS:
                return
            self.recent.append(fault)
        self.faults[fault] = (known or 0) + 1

    def to_json(self) -> list[dict[str, Any]]:
        """Return ``[{"where", "error", "count"}, …]``, oldest kind first."""
        return [{"where": f.where, "error": f.error, "count": self.faults.get(f, 0)} for f in tuple(self.recent)]


guard = Guard()


class Ward(Stopping):
    """The guard over one strategy of one hijack: one that keeps failing is given up, once.

    MOST failures within SECONDS are too many. A strategy fails seldom or always; the bound is far above what a moment
    without memory or a race would cause, and is reached by a function in use within seconds.

    Args:
        over: takes the reason, on the thread of the call; must neither block nor fail.
        clock: seconds, monotonic.
    """

    MOST, SECONDS = 10, 60.0
    __slots__ = ("_clock", "_failed", "_given_up", "_over")

    def __init__(self, over: Callable[[str], None], clock: Callable[[], float] = monotonic) -> None:
        self._over = over
        self._clock = clock
        self._failed: deque[float] = deque(maxlen=self.MOST)
        self._given_up = False

    def note(self, where: str, error: BaseException) -> None:
        """Remember one failure; give up at one too many."""
        guard.note(where, error)
        now, failed = self._clock(), self._failed
        failed.append(now)
        if len(failed) == self.MOST and now - failed[0] <= self.SECONDS:
            self.give_up(f"failed {self.MOST} times within {self.SECONDS:g} s, last by {type(error).__name__}")

    def give_up(self, reason: str) -> None:
        """Say, unless it is said already, that the strategy is of no further use here."""
        if not self._given_up:
            self._given_up = True
            self._over(reason)


UNWATCHED = Ward(lambda reason: None)
"""For a strategy that no hijack has asked for."""
