"""Power-of-two buckets as text, and their sums; also as functions inside SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import orjson

Buckets = tuple[int, Sequence[int]]


def pack(buckets: Buckets) -> str:
    """Return ``[offset, count, …]`` as JSON."""
    return orjson.dumps([buckets[0], *buckets[1]]).decode()


def unpack(text: str) -> Buckets:
    """Read what :func:`pack` wrote."""
    offset, *counts = orjson.loads(text)
    return offset, counts


def add(these: Iterable[Buckets]) -> Buckets:
    """Return the sum."""
    kept: dict[int, int] = {}
    for offset, counts in these:
        for index, count in enumerate(counts, offset):
            if count:
                kept[index] = kept.get(index, 0) + count
    return _dense(kept)


def subtract(new: Buckets, old: Buckets) -> Buckets:
    """Return what was added from ``old`` to ``new``; never below zero."""
    kept = {index: count for index, count in enumerate(new[1], new[0]) if count}
    for index, count in enumerate(old[1], old[0]):
        if count:
            kept[index] = max(0, kept.get(index, 0) - count)
    return _dense({index: count for index, count in kept.items() if count})


def _dense(kept: dict[int, int]) -> Buckets:
    if not kept:
        return 0, []
    low, high = min(kept), max(kept)
    return low, [kept.get(index, 0) for index in range(low, high + 1)]


class _Sum:
    """SQLite aggregate ``sum_buckets(text)``."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def step(self, text: str, /) -> None:
        self._seen.append(text)
        if len(self._seen) > 1000:
            self._seen = [self.finalize()]

    def finalize(self) -> str:
        # Most functions run in one process: thousands of sums of one text each, every time a page asks.
        return self._seen[0] if len(self._seen) == 1 else pack(add(map(unpack, self._seen)))


def register(connection: sqlite3.Connection) -> None:
    """Make ``add_buckets(a, b)`` and the aggregate ``sum_buckets(a)`` known to ``connection``."""
    connection.create_function("add_buckets", 2, lambda a, b: pack(add((unpack(a), unpack(b)))), deterministic=True)
    connection.create_aggregate("sum_buckets", 1, _Sum)  # type: ignore[arg-type]
