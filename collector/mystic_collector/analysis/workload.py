"""The calls that analyzing agents saw of one function, put in order: stretches → segments without a gap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mystic_agent.contract.analysis import WHOLE, Access

MOST_ACCESSES = 200_000
"""That one prediction reads; beyond it, the oldest stretches are left out."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one sampler said at once.

    Attributes:
        process: the instance it comes from.
        session: the sampler; ``sequence`` counts its stretches from 0.
        threshold: keys below it were sampled throughout.
        begin, end: Unix seconds.
        calls: that ended in it, sampled or not.
        seconds: that they took in all.
        unkeyable: reason → calls whose arguments have no key.
        results: reason → sampled calls whose result has no digest.
        identity: the type of self when keys tell its instances apart by identity alone.
        own: attributes by which keys tell instances apart, all that the method reads of them; None when they do not.
        accesses: with ``start`` in Unix seconds.
    """

    process: str
    session: str
    sequence: int
    threshold: int
    begin: float
    end: float
    calls: int
    seconds: float
    unkeyable: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, int] = field(default_factory=dict)
    identity: str = ""
    own: tuple[str, ...] | None = None
    accesses: Sequence[Access] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """Stretches of one process, or of several at the same time, in which no access of a sampled key is missing."""

    process: str
    begin: float
    end: float
    accesses: Sequence[Access]


@dataclass(frozen=True, slots=True)
class Workload:
    """All that was seen of one function.

    Attributes:
        rate: share of keys that are sampled, over 0 to 1.
        calls, seconds: exact, of all calls in the stretches.
        observed: seconds in which at least one process was watched.
        processes: how many were.
    """

    segments: Sequence[Segment] = ()
    rate: float = 1.0
    calls: int = 0
    seconds: float = 0.0
    observed: float = 0.0
    processes: int = 0
    unkeyable: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, int] = field(default_factory=dict)
    identity: str = ""
    own: tuple[str, ...] | None = None

    @property
    def accesses(self) -> int:
        """How many accesses of sampled keys there are."""
        return sum(len(one.accesses) for one in self.segments)

    @property
    def keyable(self) -> int:
        """Calls whose arguments have a key, exact."""
        return max(self.calls - sum(self.unkeyable.values()), 0)


def workload(stretches: Iterable[Stretch], most: int = MOST_ACCESSES) -> Workload:
    """Return the newest stretches as one workload; repeated ones count once."""
    chosen = _newest({(one.process, one.session, one.sequence): one for one in stretches}.values(), most)
    if not chosen:
        return Workload()
    threshold = min(one.threshold for one in chosen)
    unkeyable: Counter[str] = Counter()
    results: Counter[str] = Counter()
    for one in chosen:
        unkeyable.update(one.unkeyable)
        results.update(one.results)
    return Workload(
        segments=_segments(chosen, threshold),
        rate=threshold / WHOLE,
        calls=sum(one.calls for one in chosen),
        seconds=sum(one.seconds for one in chosen),
        observed=sum(end - begin for begin, end in _covered(chosen)),
        processes=len({one.process for one in chosen}),
        unkeyable=unkeyable,
        results=results,
        identity=next((one.identity for one in reversed(chosen) if one.identity), ""),
        own=next((one.own for one in reversed(chosen) if one.own is not None), None),
    )


def together(segments: Iterable[Segment]) -> list[Segment]:
    """Return what processes that share one cache do: segments that overlap in time become one."""
    found: list[Segment] = []
    group: list[Segment] = []
    for one in sorted(segments, key=lambda one: one.begin):
        if group and one.begin > max(other.end for other in group):
            found.append(_merged(group))
            group = []
        group.append(one)
    return [*found, _merged(group)] if group else found


def _merged(group: Sequence[Segment]) -> Segment:
    accesses = sorted((access for one in group for access in one.accesses), key=_start)
    return Segment("", min(one.begin for one in group), max(one.end for one in group), accesses)


def _newest(stretches: Iterable[Stretch], most: int) -> list[Stretch]:
    """Return the newest stretches that hold at most ``most`` accesses, oldest first."""
    kept: list[Stretch] = []
    held = 0
    for one in sorted(stretches, key=lambda one: (one.end, one.sequence), reverse=True):
        held += len(one.accesses)
        if kept and held > most:
            break
        kept.append(one)
    return kept[::-1]


def _segments(stretches: Iterable[Stretch], threshold: int) -> list[Segment]:
    """Return each sampler's stretches as one segment, begun anew where one was lost."""
    found = []
    run: list[Stretch] = []
    for one in sorted(stretches, key=lambda one: (one.process, one.session, one.sequence)):
        if run and (one.process, one.session, one.sequence) != (run[-1].process, run[-1].session, run[-1].sequence + 1):
            found.append(_joined(run, threshold))
            run = []
        run.append(one)
    return [*found, _joined(run, threshold)] if run else found


def _joined(run: Sequence[Stretch], threshold: int) -> Segment:
    accesses = [access for one in run for access in one.accesses if access.key < threshold]
    return Segment(run[0].process, run[0].begin, run[-1].end, sorted(accesses, key=_start))


def _start(access: Access) -> float:
    return access.start


def _covered(stretches: Iterable[Stretch]) -> list[tuple[float, float]]:
    """Return the times in which something was watched, as intervals that do not touch."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted((one.begin, one.end) for one in stretches):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found
