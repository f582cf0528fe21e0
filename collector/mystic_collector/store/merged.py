"""Cumulative points of one process and one request, each series once; pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from mystic_agent.contract.outcome import SPARED

from mystic_collector.store.buckets import add
from mystic_collector.store.records import ERRORS, UNTIMED, CountPoint, FunctionPoint

_F = TypeVar("_F", bound=Hashable)
_L = TypeVar("_L", bound=Hashable)


def merged_durations(
    points: Sequence[FunctionPoint], named: Callable[[str], _F]
) -> dict[tuple[_F, int], FunctionPoint]:
    """Return (function, start) → point. Repeated points count once; functions that share an overflow name add up.

    Args:
        named: what a function is kept under.
    """
    best: dict[tuple[str, int], FunctionPoint] = {}
    for point in points:
        known = best.get((point.function, point.start_ns))
        if known is None or point.calls > known.calls:
            best[point.function, point.start_ns] = point
    merged: dict[tuple[_F, int], FunctionPoint] = {}
    for point in best.values():
        key = (named(point.function), point.start_ns)
        merged[key] = _sum(merged[key], point) if key in merged else point
    return merged


def merged_counts(
    points: Sequence[CountPoint], named: Callable[[str], _F], labelled: Callable[[str, str, str], _L], now_ns: int
) -> dict[tuple[_F, int, _L], tuple[int, int, str]]:
    """Return (function, start, label) → (value, time, which figure of the history); see :func:`kind_of`."""
    best: dict[CountPoint, CountPoint] = {}
    for point in points:
        same = point._replace(time_ns=0, value=0)
        if same not in best or point.value > best[same].value:
            best[same] = point
    merged: dict[tuple[_F, int, _L], tuple[int, int, str]] = {}
    for point in best.values():
        label = labelled(point.strategy, point.decision, point.reason)
        key = (named(point.function), point.start_ns, label)
        value, time_ns, _ = merged.get(key, (0, 0, ""))
        merged[key] = (value + point.value, max(time_ns, min(point.time_ns, now_ns)), kind_of(point))
    return merged


def kind_of(point: CountPoint) -> str:
    """Return which figure of the history the count belongs to; empty for none."""
    if not point.strategy:
        return {ERRORS: "errors", UNTIMED: "untimed"}.get(point.decision, "")
    return "hits" if point.strategy == "cache" and point.decision in SPARED else ""


def _sum(a: FunctionPoint, b: FunctionPoint) -> FunctionPoint:
    return FunctionPoint(
        a.function,
        a.start_ns,
        max(a.time_ns, b.time_ns),
        a.calls + b.calls,
        a.total_ns + b.total_ns,
        min(a.min_ns, b.min_ns),
        max(a.max_ns, b.max_ns),
        a.zero + b.zero,
        add((a.buckets, b.buckets)),
    )
