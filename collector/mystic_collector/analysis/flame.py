"""Where the time of sampled traces goes: traces merged into one tree of callers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mystic_collector.store.records import StoredSpan

_NS = 1e-9
MOST_CHILDREN = 40
"""Of one caller; the shortest are left out."""

MOST_DEPTH = 40


def flame(traces: Iterable[Sequence[StoredSpan]], function: str = "") -> dict[str, Any]:
    """Return ``{name, total, self, count, children, traces}``; times in seconds, as the mean of a trace.

    Args:
        traces: each with all its spans.
        function: ``module:qualname``; the tree then begins at its calls instead of at the roots of traces.
    """
    whole: dict[str, Any] = _node("")
    merged = 0
    for spans in traces:
        known = {one.span.span_id for one in spans}
        children: dict[bytes, list[StoredSpan]] = {}
        for one in spans:
            children.setdefault(one.span.parent_id if one.span.parent_id in known else b"", []).append(one)
        roots = _outermost(children, function) if function else children.get(b"", [])
        merged += bool(roots)
        for root in roots:
            _merge(whole, root, children, 0)
    return {**_shown(whole, merged or 1), "traces": merged}


def _outermost(children: dict[bytes, list[StoredSpan]], function: str) -> list[StoredSpan]:
    """Return the calls of ``function`` that are not inside another one of its calls."""
    found = []
    waiting = list(children.get(b"", []))
    while waiting:
        one = waiting.pop()
        if one.span.function == function:
            found.append(one)
        else:
            waiting += children.get(one.span.span_id, [])
    return found


def _node(name: str) -> dict[str, Any]:
    return {"name": name, "total": 0, "count": 0, "children": {}}


def _merge(parent: dict[str, Any], one: StoredSpan, children: dict[bytes, list[StoredSpan]], depth: int) -> None:
    node = parent["children"].setdefault(one.span.name, _node(one.span.name))
    node["total"] += one.span.end_ns - one.span.start_ns
    node["count"] += 1
    if depth < MOST_DEPTH:
        for child in children.get(one.span.span_id, ()):
            _merge(node, child, children, depth + 1)


def _shown(node: dict[str, Any], traces: int) -> dict[str, Any]:
    inside = sorted(node["children"].values(), key=lambda one: (-one["total"], one["name"]))
    spent = sum(one["total"] for one in inside)
    return {
        "name": node["name"],
        "total": (node["total"] or spent) * _NS / traces,
        "self": max(0, node["total"] - spent) * _NS / traces,
        "count": node["count"],
        "children": [_shown(one, traces) for one in inside[:MOST_CHILDREN]],
    }
