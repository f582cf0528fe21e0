"""The one place where a failure of ours ends: counted, remembered once, never passed to the host.

It is the only module of the agent that says ``Exception``: others that must catch use FAULTS from here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

FAULTS = (Exception,)
"""What the guard stops; call-path code that cannot afford :meth:`Guard.run` catches it and calls :meth:`Guard.note`."""

P = ParamSpec("P")
R = TypeVar("R")


class Fault(NamedTuple):
    """One kind of failure: where it happened and what it was (type name only, its text may hold secrets)."""

    where: str
    error: str


class Guard:
    """Runs our own code so that nothing it does reaches the host.

    Attributes:
        faults: how often each kind of failure happened; bounded.
        recent: the latest distinct kinds, newest last.
    """

    MOST_KINDS = 200

    def __init__(self) -> None:
        self.faults: dict[Fault, int] = {}
        self.recent: deque[Fault] = deque(maxlen=50)

    def run(self, where: str, work: Callable[P, R], fallback: R, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return ``work(*args, **kwargs)``, or ``fallback`` after a failure that is noted under ``where``."""
        try:
            return work(*args, **kwargs)
        except FAULTS as error:
            self.note(where, error)
            return fallback

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
