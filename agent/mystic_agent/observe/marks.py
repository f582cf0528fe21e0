"""The marks of one function: where in its figures the hijacks in force on it changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import time_ns

from mystic_agent.contract.mark import MOST_MARKS, Mark
from mystic_agent.observe.meter import Meter, Standing

InForce = tuple[tuple[str, ...], tuple[object, ...]]
"""Ids of hijacks, and their strategies with all options."""

_NOTHING: InForce = ((), ())


class Marks:
    """The newest marks of one function, oldest first.

    Args:
        meter: the figures that are divided.
        clock: Unix nanoseconds.
    """

    __slots__ = ("_clock", "_in_force", "_kept", "_meter", "_number")

    def __init__(self, meter: Meter, clock: Callable[[], int] = time_ns) -> None:
        self._meter = meter
        self._clock = clock
        self._in_force = _NOTHING
        self._kept: deque[Mark] | None = None
        self._number = 0

    def standing(self, changing: bool) -> Standing | None:
        """Return the figures of now, to be given to :meth:`changed` after the change; None when none can come.

        Args:
            changing: a hijack is about to be in force.
        """
        return self._meter.standing() if changing or self._in_force != _NOTHING else None

    def changed(
        self, hijacks: tuple[str, ...], specs: tuple[object, ...], names: tuple[str, ...], version: int, at: Standing
    ) -> bool:
        """Keep a mark when what is in force now is not what was; True when it was kept."""
        if (hijacks, specs) == self._in_force:
            return False
        self._in_force = (hijacks, specs)
        self._keep(hijacks, names, version, at)
        return True

    def _keep(self, hijacks: tuple[str, ...], names: tuple[str, ...], version: int, at: Standing) -> None:
        if self._kept is None:
            self._kept = deque(maxlen=MOST_MARKS)
        self._kept.append(Mark(self._number, self._clock(), version, hijacks, names, *at))
        self._number += 1

    def all(self) -> tuple[Mark, ...]:
        """Return what is kept."""
        return tuple(self._kept) if self._kept is not None else ()

    def reset(self) -> None:
        """Begin anew with what is in force, as a forked child does whose figures are zero again."""
        kept, self._kept, self._number = self._kept, None, 0
        if kept and self._in_force != _NOTHING:
            last = kept[-1]
            self._keep(last.hijacks, last.strategies, last.version, self._meter.standing())
