"""Functions with their figures, the most expensive first: the shape of ``GET /api/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mystic_collector.analysis.quantile import quantile, quantiles
from mystic_collector.store.records import FunctionTotals, Interval

_NS = 1e-9
_SHARES, _P95 = (0.5, 0.95, 0.99), (0.95,)


def figures(totals: FunctionTotals) -> dict[str, Any]:
    """Return one function's figures; durations in seconds, moments in Unix seconds.

    ``call_count`` includes calls that are only counted: most that a cache serves, and those of functions the
    governor has stepped down. They weigh in ``avg_time`` as zero, and not in the extremes and quantiles, which
    describe the ``timed_count`` others.
    """
    calls = totals.calls + totals.untimed
    p50, p95, p99 = quantiles(_SHARES, totals.buckets, totals.zero, totals.min_ns, totals.max_ns)
    return {
        "name": totals.function,
        "service": totals.service,
        "call_count": calls,
        "timed_count": totals.calls,
        "total_time": totals.total_ns * _NS,
        "avg_time": totals.total_ns * _NS / calls if calls else 0.0,
        "min_time": totals.min_ns * _NS,
        "max_time": totals.max_ns * _NS,
        "p50": p50 * _NS,
        "p95": p95 * _NS,
        "p99": p99 * _NS,
        "exceptions": totals.errors,
        "last_called": totals.last_ns * _NS if totals.last_ns else None,
        "processes": totals.instances,
        "decisions": decisions(totals.decisions),
    }


def brief(totals: FunctionTotals) -> dict[str, Any]:
    """Return the same figures without those that a list of all functions does not show: half the work and the text."""
    calls = totals.calls + totals.untimed
    [p95] = quantiles(_P95, totals.buckets, totals.zero, totals.min_ns, totals.max_ns)
    return {
        "name": totals.function,
        "service": totals.service,
        "call_count": calls,
        "total_time": totals.total_ns * _NS,
        "avg_time": totals.total_ns * _NS / calls if calls else 0.0,
        "max_time": totals.max_ns * _NS,
        "p95": p95 * _NS,
        "exceptions": totals.errors,
        "last_called": totals.last_ns * _NS if totals.last_ns else None,
    }


def decisions(counted: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    """Return decisions as rows, most frequent first; an empty reason is left out."""
    rows = sorted(counted.items(), key=lambda row: (-row[1], row[0]))
    return [
        {"strategy": strategy, "decision": decision, **({"reason": reason} if reason else {}), "count": count}
        for (strategy, decision, reason), count in rows
    ]


def _calls(totals: FunctionTotals) -> int:
    return totals.calls + totals.untimed


def _average(totals: FunctionTotals) -> float:
    return totals.total_ns * _NS / (_calls(totals) or 1)


SORTS: dict[str, Callable[[FunctionTotals], Any]] = {
    "total_time": lambda one: -one.total_ns,
    "avg_time": lambda one: -_average(one),
    "max_time": lambda one: -one.max_ns,
    "call_count": lambda one: -_calls(one),
    "exceptions": lambda one: -one.errors,
    "last_called": lambda one: -one.last_ns,
    "name": lambda one: one.function,
}
"""How functions are put in order; their figures are computed for those that are shown only."""


def histogram(totals: Iterable[FunctionTotals]) -> list[dict[str, Any]]:
    """Return how many timed calls lasted how long, summed: ``{"above", "up_to", "count"}`` in seconds, without gaps."""
    counted: dict[int, int] = {}
    for one in totals:
        offset, counts = one.buckets
        for index, count in enumerate(counts, offset):
            counted[index] = counted.get(index, 0) + count
    used = [index for index, count in counted.items() if count]
    return [
        {"above": 2.0**index * _NS, "up_to": 2.0 ** (index + 1) * _NS, "count": counted.get(index, 0)}
        for index in range(min(used, default=0), max(used, default=-1) + 1)
    ]


def summary(found: Sequence[FunctionTotals]) -> dict[str, Any]:
    """Return what all functions together did."""
    called = calls = total = errors = 0
    most, longest = 0, -1.0
    busiest = slowest = None
    for one in found:  # in one walk: this is asked with every list, however short
        errors += one.errors
        made = one.calls + one.untimed
        if not made:
            continue
        called += 1
        calls += made
        total += one.total_ns
        if made > most:
            most, busiest = made, one.function
        if (average := one.total_ns / made) > longest:
            longest, slowest = average, one.function
    return {
        "total_functions": len(found),
        "called_functions": called,
        "total_calls": calls,
        "total_time": total * _NS,
        "total_exceptions": errors,
        "slowest_function": slowest,
        "most_called_function": busiest,
    }


def timeline(intervals: Iterable[Interval]) -> list[dict[str, Any]]:
    """Return the history of a function as rows; durations in seconds, ``at`` in Unix seconds."""
    return [
        {
            "at": one.at,
            "seconds": one.seconds,
            "call_count": one.calls + one.untimed,
            "exceptions": one.errors,
            "cache_hits": one.hits,
            "total_time": one.total_ns * _NS,
            "avg_time": one.total_ns * _NS / (one.calls + one.untimed) if one.calls + one.untimed else 0.0,
            "p95": quantile(0.95, one.buckets, one.zero, 0, 2.0**63) * _NS,
        }
        for one in intervals
    ]
