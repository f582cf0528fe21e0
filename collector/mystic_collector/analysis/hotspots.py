"""Functions with their figures, the most expensive first: the shape of ``GET /api/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mystic_collector.analysis.quantile import quantile
from mystic_collector.store.records import FunctionTotals, Interval

_NS = 1e-9
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def figures(totals: FunctionTotals) -> dict[str, Any]:
    """Return one function's figures; durations in seconds, moments in Unix seconds.

    ``call_count`` includes calls that are only counted: most that a cache serves, and those of functions the
    governor has stepped down. They weigh in ``avg_time`` as zero, and not in the extremes and quantiles, which
    describe the ``timed_count`` others.
    """
    calls = totals.calls + totals.untimed
    quantiles = {
        name: quantile(share, totals.buckets, totals.zero, totals.min_ns, totals.max_ns) * _NS
        for name, share in _QUANTILES.items()
    }
    return {
        "name": totals.function,
        "service": totals.service,
        "call_count": calls,
        "timed_count": totals.calls,
        "total_time": totals.total_ns * _NS,
        "avg_time": totals.total_ns * _NS / calls if calls else 0.0,
        "min_time": totals.min_ns * _NS,
        "max_time": totals.max_ns * _NS,
        **quantiles,
        "exceptions": totals.errors,
        "last_called": totals.last_ns * _NS if totals.last_ns else None,
        "processes": totals.instances,
        "decisions": decisions(totals.decisions),
    }


def decisions(counted: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    """Return decisions as rows, most frequent first; an empty reason is left out."""
    rows = sorted(counted.items(), key=lambda row: (-row[1], row[0]))
    return [
        {"strategy": strategy, "decision": decision, **({"reason": reason} if reason else {}), "count": count}
        for (strategy, decision, reason), count in rows
    ]


SORTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "total_time": lambda row: -row["total_time"],
    "avg_time": lambda row: -row["avg_time"],
    "max_time": lambda row: -row["max_time"],
    "call_count": lambda row: -row["call_count"],
    "exceptions": lambda row: -row["exceptions"],
    "last_called": lambda row: -(row["last_called"] or 0.0),
    "name": lambda row: row["name"],
}


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


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what all functions together did."""
    slowest = max(rows, key=lambda row: row["avg_time"], default=None)
    busiest = max(rows, key=lambda row: row["call_count"], default=None)
    return {
        "total_functions": len(rows),
        "called_functions": sum(1 for row in rows if row["call_count"]),
        "total_calls": sum(row["call_count"] for row in rows),
        "total_time": sum(row["total_time"] for row in rows),
        "total_exceptions": sum(row["exceptions"] for row in rows),
        "slowest_function": slowest["name"] if slowest and slowest["call_count"] else None,
        "most_called_function": busiest["name"] if busiest and busiest["call_count"] else None,
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
