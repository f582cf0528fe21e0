"""What hijacks have changed, measured: each function before and after, process by process, then together.

*After* is all that a process did from the moment it attached the hijack; *before* is what it did just before that.
Both are exact to the call, because agents note their figures at that moment (``mystic_agent.contract.mark``). Where
no process lived before the hijack, the ones that had ended by then stand for it. A hijack that was replaced has an
*after* for each version, all against the same before; one that was released keeps what was measured.

How two sides are compared is written in :mod:`mystic_collector.analysis.difference`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mystic_agent.contract.outcome import COMPUTED, SPARED

from mystic_collector.analysis import difference
from mystic_collector.analysis.difference import Difference
from mystic_collector.analysis.phases import Phase, phases, total
from mystic_collector.analysis.quantile import quantile
from mystic_collector.store.life_records import Life, Tally

_NS = 1e-9
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_SPEED = {"less": "faster", "more": "slower"}
_ERRORS = {"less": "fewer", "more": "more"}


@dataclass(frozen=True, slots=True)
class Wording:
    """One wording of a hijack.

    Attributes:
        version: of the registry, from which on it was in force.
        body: its wire form.
    """

    version: int
    body: Mapping[str, Any]


@dataclass(slots=True)
class _Side:
    """Calls of one side, and the processes that made them."""

    tallies: list[Tally] = field(default_factory=list)
    instances: set[str] = field(default_factory=set)
    earlier: bool = False

    def add(self, life: Life, tally: Tally) -> None:
        self.tallies.append(tally)
        if tally.calls:
            self.instances.add(life.instance)


_Where = tuple[str, str, str]  # function, service, stage


def impact(identity: str, wordings: Sequence[Wording], lives: Iterable[Life]) -> dict[str, Any]:
    """Return what one hijack has changed.

    Args:
        identity: of the hijack.
        wordings: all it ever had, oldest first.
        lives: of the functions it was in force on, in every process.

    Returns:
        ``versions``, oldest first, each with ``version``, ``strategies``, ``functions`` (one row for each function,
        service and stage, with ``before``, ``after`` and ``change``) and ``sum`` over them; ``lost``: parts of
        processes' lives that cannot be attributed, because more changes came than were kept.
    """
    known = [one.version for one in wordings]
    sides: dict[tuple[int, _Where], _Side] = {}
    strategies: dict[tuple[int, _Where], tuple[str, ...]] = {}
    others: dict[tuple[int, _Where], set[str]] = {}
    before: dict[_Where, _Side] = {}
    lost = 0
    lived = list(lives)
    for life in lived:
        where = (life.function, life.service, life.stage)
        previous: Phase | None = None
        begun = False
        for phase in phases(life):
            if phase is None:
                lost += 1
            elif identity not in phase.hijacks:
                previous = phase
            else:
                key = (_wording(known, phase.version), where)
                sides.setdefault(key, _Side()).add(life, phase.tally)
                strategies[key] = phase.strategies
                others.setdefault(key, set()).update(one for one in phase.hijacks if one != identity)
                if not begun and previous is not None:
                    before.setdefault(where, _Side()).add(life, previous.tally)
                begun = True
    for _, where in sides:
        if not total(before.setdefault(where, _Side()).tallies).calls:
            before[where] = _earlier(identity, where, lived)
    rows = [
        (version, _row(where, strategies[version, where], before[where], side, others[version, where]))
        for (version, where), side in sorted(sides.items())
    ]
    versions = [_version(one, [row for version, row in rows if version == one.version]) for one in wordings]
    return {"versions": versions, "lost": lost}


def _wording(known: Sequence[int], version: int) -> int:
    """Return the version of the wording in force at a version of the registry."""
    return max((one for one in known if one <= version), default=known[0] if known else version)


def _earlier(identity: str, where: _Where, lives: Iterable[Life]) -> _Side:
    """Return what processes did that never had the hijack and were last heard of before the first that had it."""
    same = [life for life in lives if (life.function, life.service, life.stage) == where]
    attached = [mark.at_ns for life in same for mark in life.marks if identity in mark.hijacks]
    side = _Side(earlier=True)
    for life in same:
        if life.last_ns and life.last_ns < min(attached, default=0) and not _ever(identity, life):
            side.add(life, total(phase.tally for phase in phases(life) if phase is not None))
    return side


def _ever(identity: str, life: Life) -> bool:
    return any(identity in mark.hijacks for mark in life.marks)


def _version(wording: Wording, rows: list[dict[str, Any]]) -> dict[str, Any]:
    stages = wording.body.get("stages", {})
    return {
        "version": wording.version,
        "stages": stages,
        "strategies": sorted({name for specs in stages.values() for spec in specs for name in spec}),
        "functions": rows,
        "sum": _sum(rows),
    }


def _row(where: _Where, strategies: tuple[str, ...], before: _Side, after: _Side, others: set[str]) -> dict[str, Any]:
    old, new = total(before.tallies), total(after.tallies)
    return {
        "function": where[0],
        "service": where[1],
        "stage": where[2],
        "strategies": strategies,
        "beside": sorted(others),
        "before": {**figures(old), "processes": len(before.instances), "earlier_processes": before.earlier},
        "after": {**figures(new), "processes": len(after.instances)},
        "change": change(old, new),
    }


def figures(tally: Tally) -> dict[str, Any]:
    """Return one side; durations in seconds, over the ``timed_count`` calls whose duration is known."""
    hits, misses = (sum(tally.decisions.get(f"cache/{name}", 0) for name in names) for names in (SPARED, COMPUTED))
    looked = hits + misses
    return {
        "call_count": tally.calls,
        "timed_count": tally.timed,
        "exceptions": tally.errors,
        "error_rate": tally.errors / tally.calls if tally.calls else None,
        "hits": hits,
        "misses": misses,
        "hit_rate": hits / looked if looked else None,
        "total_time": tally.total_ns * _NS,
        "avg_time": difference.mean(tally) if tally.timed else None,
        **{name: _quantile(share, tally) for name, share in _QUANTILES.items()},
        "decisions": dict(sorted(tally.decisions.items())),
    }


def _quantile(share: float, tally: Tally) -> float | None:
    return quantile(share, tally.buckets, tally.zero, 0, 2.0**63) * _NS if tally.timed else None


def change(before: Tally, after: Tally) -> dict[str, Any]:
    """Return how the sides differ: ``time`` of one call in seconds, ``errors`` as a share, ``saved_time`` in all."""
    time = difference.of_means(before, after)
    errors = difference.of_shares((before.errors, before.calls), (after.errors, after.calls))
    timed = after.timed
    known = time.value is not None and before.timed >= difference.LEAST <= timed
    return {
        "time": {
            **_told(time, _SPEED),
            "relative": time.value / difference.mean(before) if time.value is not None and before.total_ns else None,
        },
        "errors": _told(errors, _ERRORS),
        "saved_time": -time.value * timed if known and time.value is not None else None,
        "saved_low": -time.high * timed if time.high is not None else None,
        "saved_high": -time.low * timed if time.low is not None else None,
    }


def _told(found: Difference, words: Mapping[str, str]) -> dict[str, Any]:
    return {
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "verdict": words.get(found.verdict, found.verdict),
        "why": found.why,
    }


def _sum(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return both sides over all functions; what was saved is added up function by function, never averaged.

    The bounds of a sum of independent differences lie at the root of the summed squares of their distances.
    """
    names = ("call_count", "exceptions", "hits", "misses", "total_time")
    sides = {side: {name: sum(row[side][name] for row in rows) for name in names} for side in ("before", "after")}
    told = [row["change"] for row in rows if row["change"]["saved_low"] is not None]
    saved = sum(one["saved_time"] for one in told)
    return {
        **sides,
        "functions": len(rows),
        "told": len(told),
        "saved_time": saved if told else None,
        "saved_low": saved - _root(one["saved_time"] - one["saved_low"] for one in told) if told else None,
        "saved_high": saved + _root(one["saved_high"] - one["saved_time"] for one in told) if told else None,
    }


def _root(distances: Iterable[float]) -> float:
    return float(sum(one**2 for one in distances) ** 0.5)
