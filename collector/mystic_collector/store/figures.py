"""Cumulative figures: only growth counts, and what grew goes into the history. Used by the writing thread alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TypeVar

from mystic_collector.store.buckets import Buckets, add, pack, subtract, unpack
from mystic_collector.store.merged import merged_counts, merged_durations
from mystic_collector.store.names import Names
from mystic_collector.store.records import CountPoint, FunctionPoint

WIDTH = 10
"""Seconds of one interval of the history while it is young."""

_MOST_REMEMBERED = 100_000
_NOTHING: Buckets = (0, ())

_KEEP_DURATION = """
insert into durations(function, instance, start, time, calls, total, low, high, zero, buckets)
values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do update set time = excluded.time, calls = excluded.calls, total = excluded.total, low = excluded.low,
  high = excluded.high, zero = excluded.zero, buckets = excluded.buckets"""
_KEEP_COUNT = """
insert into counts(function, instance, start, label, time, value) values(?, ?, ?, ?, ?, ?)
on conflict do update set time = excluded.time, value = excluded.value"""
_ADD = ("calls", "untimed", "errors", "hits", "total", "zero")
INTERVAL = f"function, service, width, at, {', '.join(_ADD)}, buckets"
"""Columns of the history."""

ADD_INTERVAL = (
    f" on conflict do update set {', '.join(f'{name} = {name} + excluded.{name}' for name in _ADD)},"
    " buckets = add_buckets(buckets, excluded.buckets)"
)
"""What becomes of an interval that is there already."""

_KEEP_HISTORY = f"insert into intervals({INTERVAL}) values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?){ADD_INTERVAL}"

_Key = tuple[int, int, int]  # function, instance, start
_Known = tuple[int, int, int, Buckets]  # calls, total, zero, buckets
_K = TypeVar("_K")
_V = TypeVar("_V")


class _Growth:
    """What grew for one function of one service during one write."""

    __slots__ = ("buckets", "calls", "errors", "hits", "total", "untimed", "zero")

    def __init__(self) -> None:
        self.calls = self.untimed = self.errors = self.hits = self.total = self.zero = 0
        self.buckets: list[Buckets] = []


class Figures:
    """Keeps the highest point of every (function, process, start).

    Args:
        connection: the writing connection; a transaction is open whenever a method is called.
        names: numbers of names.
    """

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self.forget()

    def forget(self) -> None:
        """Read again from the database; needed after a rollback and after rows were removed."""
        self._known: dict[tuple[int, int, int], _Known] = {}
        self._values: dict[tuple[int, int, int, int], int] = {}
        self._growth: dict[tuple[int, str], _Growth] = {}

    def durations(self, instance: int, service: str, points: Sequence[FunctionPoint], now_ns: int) -> None:
        """Keep durations of one process, given in one request."""
        for (function, start), point in merged_durations(points, self._names.function).items():
            key = (function, instance, start)
            known = self._known.get(key) or self._read_duration(key)
            if point.calls <= known[0]:
                continue
            row = (point.calls, point.total_ns, point.min_ns, point.max_ns, point.zero, pack(point.buckets))
            self._connection.execute(_KEEP_DURATION, (*key, min(point.time_ns, now_ns), *row))
            _remember(self._known, key, (point.calls, point.total_ns, point.zero, point.buckets))
            growth = self._growth.setdefault((key[0], service), _Growth())
            growth.calls += point.calls - known[0]
            growth.total += max(0, point.total_ns - known[1])
            growth.zero += max(0, point.zero - known[2])
            growth.buckets.append(subtract(point.buckets, known[3]))

    def counts(self, instance: int, service: str, points: Sequence[CountPoint], now_ns: int) -> None:
        """Keep errors and decisions of one process, given in one request."""
        merged = merged_counts(points, self._names.function, self._names.label, now_ns)
        for (function, start, label), (value, time_ns, kind) in merged.items():
            key = (function, instance, start, label)
            known = self._values.get(key)
            grown = value - (self._read_count(key) if known is None else known)
            if grown <= 0:
                continue
            self._connection.execute(_KEEP_COUNT, (*key, time_ns, value))
            _remember(self._values, key, value)
            if kind:
                growth = self._growth.setdefault((key[0], service), _Growth())
                setattr(growth, kind, getattr(growth, kind) + grown)

    def finish(self, now: int) -> None:
        """Write what grew since the last call into the interval of ``now`` (Unix seconds)."""
        at = now - now % WIDTH
        rows = [
            (function, service, WIDTH, at, g.calls, g.untimed, g.errors, g.hits, g.total, g.zero, pack(add(g.buckets)))
            for (function, service), g in self._growth.items()
        ]
        self._connection.executemany(_KEEP_HISTORY, rows)
        self._growth.clear()

    def _read_duration(self, key: _Key) -> _Known:
        sql = "select calls, total, zero, buckets from durations where function = ? and instance = ? and start = ?"
        row = self._connection.execute(sql, key).fetchone()
        return (row[0], row[1], row[2], unpack(row[3])) if row else (0, 0, 0, _NOTHING)

    def _read_count(self, key: tuple[int, int, int, int]) -> int:
        sql = "select value from counts where function = ? and instance = ? and start = ? and label = ?"
        row = self._connection.execute(sql, key).fetchone()
        return int(row[0]) if row else 0


def _remember(memo: dict[_K, _V], key: _K, value: _V) -> None:
    if len(memo) >= _MOST_REMEMBERED and key not in memo:
        memo.clear()
    memo[key] = value
