"""Who calls a function and whom it calls, with their share of its time, from sampled calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mystic_collector.store.records import StoredSpan

_NS = 1e-9
MOST = 50
"""Callers, and callees, that are named; the shortest are left out."""

OUTSIDE = ""
"""The name under which calls stand that nothing observed has made."""


def relations(traces: Iterable[Sequence[StoredSpan]], function: str) -> dict[str, Any]:
    """Return ``callers`` and ``callees`` with ``count``, ``total`` (seconds) and ``share`` of the function's time.

    A callee's share is of all sampled time in ``function``; callees that run at the same time may add up to more than
    one. A call inside another call of ``function`` is a callee, and its time is not added once more.
    """
    callers: dict[str, list[int]] = {}
    callees: dict[str, list[int]] = {}
    calls = spent = inside = 0
    for spans in traces:
        by_id = {one.span.span_id: one for one in spans}
        ours = {identity for identity, one in by_id.items() if _name(one) == function}
        for one in spans:
            within = one.span.parent_id in ours
            if not within and one.span.span_id not in ours:
                continue  # nearly all of a long trace
            length = one.span.end_ns - one.span.start_ns
            if within:
                _add(callees, _name(one), length)
                inside += length
            if one.span.span_id in ours:
                calls += 1
                if not within:
                    parent = by_id.get(one.span.parent_id)
                    spent += length
                    _add(callers, _name(parent) if parent is not None else OUTSIDE, length)
    return {
        "function": function,
        "calls": calls,
        "total": spent * _NS,
        "self": max(0, spent - inside) * _NS,
        "callers": _rows(callers, spent),
        "callees": _rows(callees, spent),
    }


def _name(stored: StoredSpan) -> str:
    return stored.span.function or stored.span.name


def _add(sums: dict[str, list[int]], name: str, length: int) -> None:
    known = sums.setdefault(name, [0, 0])
    known[0] += 1
    known[1] += length


def _rows(sums: dict[str, list[int]], spent: int) -> list[dict[str, Any]]:
    rows = sorted(sums.items(), key=lambda row: (-row[1][1], row[0]))[:MOST]
    return [
        {"function": name, "count": count, "total": total * _NS, "share": total / spent if spent else 0.0}
        for name, (count, total) in rows
    ]
