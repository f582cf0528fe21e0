"""What the agent costs, function by function: calls of the last interval, times what one of them costs.

Each process measures what observing and what only counting costs one call on its own machine (CPU time of a function
that does nothing, see ``mystic_agent.governor``). What a strategy adds is estimated as a multiple of that, measured
once on a call that it lets pass: a call that it serves or logs may cost more or less. What a hijack *saves* is in
:mod:`mystic_collector.analysis.impact`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mystic_collector.store.records import Recent

_NS = 1e-9
TIMES = {
    "ab": 2.5,
    "analyze": 0.5,
    "block": 10.0,
    "cache": 6.0,
    "circuit_breaker": 6.5,
    "fault": 2.0,
    "log": 90.0,
    "mock": 2.0,
    "rate_limit": 4.0,
    "record": 15.0,
    "redirect": 4.5,
    "replay": 15.0,
    "retry": 4.5,
    "rollout": 4.0,
    "shadow": 4.5,
    "snapshot": 12.0,
    "timeout": 2.0,
}
"""What a strategy adds to a call, in multiples of what observing one costs; on 2 cores, CPython 3.11."""

UNKNOWN = 5.0
"""The same for strategies that are not in the table."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Nanoseconds that one call costs a process."""

    observe: float
    count: float


def overhead(
    recent: Iterable[Recent],
    seconds: float,
    costs: Mapping[str, Cost],
    strategies: Mapping[tuple[str, str], Sequence[str]],
) -> dict[str, Any]:
    """Return what the agent cost over an interval.

    Args:
        recent: calls of that interval.
        seconds: its length.
        costs: per service the mean over its processes; services without are left out.
        strategies: (service, function) → what is in force on it.

    Returns:
        ``functions``, the most expensive first, with ``calls_per_second``, ``per_call`` in seconds and
        ``share_of_core``; ``share_of_core`` of all together; ``uncosted`` services.
    """
    rows: list[dict[str, Any]] = []
    uncosted: set[str] = set()
    for one in recent:
        cost = costs.get(one.service)
        if cost is None:
            uncosted.add(one.service)
            continue
        named = [name for name in strategies.get((one.service, one.function), ()) if name != "observe"]
        spent = _spent(one, cost, named)
        calls = one.calls + one.untimed
        rows.append(
            {
                "function": one.function,
                "service": one.service,
                "strategies": named,
                "calls_per_second": calls / seconds,
                "per_call": spent / calls * _NS if calls else 0.0,
                "share_of_core": spent * _NS / seconds,
            }
        )
    rows.sort(key=lambda row: (-row["share_of_core"], row["function"]))
    return {
        "functions": rows,
        "share_of_core": sum(row["share_of_core"] for row in rows),
        "seconds": seconds,
        "uncosted": sorted(uncosted),
    }


def _spent(one: Recent, cost: Cost, strategies: Iterable[str]) -> float:
    """Return nanoseconds. Calls that are only counted pass strategies by: the trampoline serves them, or has none."""
    added = sum(TIMES.get(name, UNKNOWN) for name in strategies)
    return one.calls * cost.observe * (1 + added) + one.untimed * cost.count
