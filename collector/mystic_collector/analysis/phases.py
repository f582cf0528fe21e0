"""The life of a function in one process, cut where the hijacks in force on it changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from mystic_agent.contract.mark import Mark

from mystic_collector.store.buckets import Buckets, add, subtract
from mystic_collector.store.life_records import Life, Tally


@dataclass(frozen=True, slots=True)
class Phase:
    """What a function did in one process while the same hijacks were in force on it.

    Attributes:
        hijacks, strategies: in force.
        version: of the registry, that brought them; -1 for the beginning.
        began_ns: Unix nanoseconds; 0 for the beginning of the process.
        tally: what was counted meanwhile; calls that were not timed, while strategies were in force, were served by
            the trampoline itself and count as timed with 0 ns.
    """

    hijacks: tuple[str, ...]
    strategies: tuple[str, ...]
    version: int
    began_ns: int
    tally: Tally


def phases(life: Life) -> list[Phase | None]:
    """Return the phases of a life in order; None stands for a part whose hijacks are not known."""
    marks = sorted(life.marks, key=lambda one: one.number)
    found: list[Phase | None] = []
    before, standing = Mark(-1, 0, -1), Tally()
    for mark in marks:
        reached = _tally(mark)
        follows = mark.number == before.number + 1
        found.append(_phase(before, standing, reached) if follows else None)
        before, standing = mark, reached
    found.append(_phase(before, standing, life.tally))
    return found


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum."""
    return reduce(_plus, tallies, Tally())


def _phase(mark: Mark, standing: Tally, reached: Tally) -> Phase:
    grown = _minus(reached, standing)
    if mark.strategies:
        grown = replace(grown, zero=grown.zero + grown.untimed, untimed=0)
    return Phase(mark.hijacks, mark.strategies, mark.version, mark.at_ns if mark.number >= 0 else 0, grown)


def _tally(mark: Mark) -> Tally:
    # Bucket b of a mark holds 2**(b-1) <= ns < 2**b, which is bucket b-1 of the store; see `otlp.metrics` of the agent.
    zero, buckets = (mark.buckets[0] if mark.buckets else 0), mark.buckets[1:]
    return Tally(zero, (0, buckets), mark.untimed, mark.errors, mark.total_ns, mark.decisions)


def _plus(a: Tally, b: Tally) -> Tally:
    decisions = dict(a.decisions)
    for name, count in b.decisions.items():
        decisions[name] = decisions.get(name, 0) + count
    buckets = add((a.buckets, b.buckets))
    return Tally(
        a.zero + b.zero, buckets, a.untimed + b.untimed, a.errors + b.errors, a.total_ns + b.total_ns, decisions
    )


def _minus(new: Tally, old: Tally) -> Tally:
    """Return what grew; what was reported last may be older than a mark, and then nothing has."""
    decisions = {name: count - old.decisions.get(name, 0) for name, count in new.decisions.items()}
    buckets: Buckets = subtract(new.buckets, old.buckets)
    return Tally(
        max(0, new.zero - old.zero),
        buckets,
        max(0, new.untimed - old.untimed),
        max(0, new.errors - old.errors),
        max(0, new.total_ns - old.total_ns),
        {name: count for name, count in decisions.items() if count > 0},
    )
