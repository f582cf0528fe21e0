"""Calls over time, all functions together: intervals without gaps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mystic_collector.store.figures import WIDTH
from mystic_collector.store.records import Interval


def rates(intervals: Iterable[Interval], since: float, until: float) -> list[dict[str, Any]]:
    """Return a row for every interval between two moments (Unix seconds), oldest first; rates are per second.

    An interval that has not ended is divided by what has passed of it. What is older and kept in wider intervals is
    spread over them evenly.
    """
    first, last = int(since // WIDTH), int(until // WIDTH)
    sums: dict[int, list[float]] = {index: [0.0, 0.0, 0.0] for index in range(first, last + 1)}
    for one in intervals:
        parts = max(1, one.seconds // WIDTH)
        for index in range(int(one.at // WIDTH), int(one.at // WIDTH) + parts):
            if index in sums:
                for place, value in enumerate((one.calls + one.untimed, one.errors, one.hits)):
                    sums[index][place] += value / parts
    return [
        {
            "at": index * WIDTH,
            "calls_per_second": calls / _length(index, until),
            "errors_per_second": errors / _length(index, until),
            "hits_per_second": hits / _length(index, until),
        }
        for index, (calls, errors, hits) in sums.items()
    ]


def _length(index: int, until: float) -> float:
    return min(WIDTH, max(1.0, until - index * WIDTH))
