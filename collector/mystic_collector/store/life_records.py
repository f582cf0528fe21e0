"""One function in one process, from its first call to the last heard of; frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mystic_agent.contract.mark import Mark


class MarkRow(NamedTuple):
    """A change of the hijacks in force on one function, as its process reported it."""

    function: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Tally:
    """What one function counted in one process, or in one part of its life.

    Attributes:
        zero: timed calls of 0 ns.
        buckets: (offset, counts): ``counts[i]`` timed calls lasted 2**(offset+i) < ns <= 2**(offset+i+1).
        untimed: calls that were counted and not timed.
        total_ns: sum of the durations.
        decisions: ``"strategy/decision"`` → how often.
    """

    zero: int = 0
    buckets: tuple[int, Sequence[int]] = (0, ())
    untimed: int = 0
    errors: int = 0
    total_ns: int = 0
    decisions: Mapping[str, int] = field(default_factory=dict)

    @property
    def timed(self) -> int:
        """Calls whose duration is known."""
        return self.zero + sum(self.buckets[1])

    @property
    def calls(self) -> int:
        """All calls."""
        return self.timed + self.untimed


@dataclass(frozen=True, slots=True)
class Life:
    """One function in one process.

    Attributes:
        tally: all it has counted.
        marks: where in it the hijacks in force changed, by number.
        last_ns: Unix nanoseconds of the last report that showed a new call; 0 for none.
    """

    service: str
    instance: str
    stage: str
    function: str
    tally: Tally
    marks: Sequence[Mark] = ()
    last_ns: int = 0


@dataclass(frozen=True, slots=True)
class LifeQuery:
    """Which lives are wanted; every empty field means any. Only functions that some hijack was ever in force on.

    Attributes:
        function: ``module:qualname``.
        hijack: an id.
    """

    function: str = ""
    service: str = ""
    hijack: str = ""
