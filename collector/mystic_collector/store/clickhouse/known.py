"""What is known of processes that report: the highest figures of each, so that only growth is written.

Knowledge may be older than what another collector has written since; then more is written than has grown, and
:mod:`mystic_collector.store.clickhouse.figures` counts it once. Used by the writing thread alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import orjson

from mystic_collector.store.buckets import Buckets, add
from mystic_collector.store.clickhouse.connection import Block, Connection, encoded
from mystic_collector.store.clickhouse.schema import NAMES
from mystic_collector.store.records import OVERFLOW

MOST_LABELS = 5_000
_MOST_SERIES = 200_000
_AT_ONCE = 50
FRESH = 60.0
"""Seconds without a report after which a process is read again: it may have reported to another collector."""

Label = tuple[str, str, str]

_PAIRS = """(select pair.1, pair.2 from
  (select arrayJoin(arrayZip({services:Array(String)}, {instances:Array(String)})) as pair))"""
_READ_FOLDED = f"select service, instance from folded where (service, instance) in {_PAIRS}"  # noqa: S608 - constants
_READ_DURATIONS = f"""
select service, instance, function, start, max(calls), argMax(tuple(total, zero, slots, counts), calls)
from durations where (service, instance) in {_PAIRS} group by service, instance, function, start"""  # noqa: S608
_READ_COUNTS = f"""
select service, instance, function, start, strategy, decision, reason, max(value)
from counts where (service, instance) in {_PAIRS}
group by service, instance, function, start, strategy, decision, reason"""  # noqa: S608
_READ_EXTERNALS = f"""
select distinct service, instance, function, via, peer, protocol from externals
where (service, instance) in {_PAIRS}"""  # noqa: S608


class Highest(NamedTuple):
    """Of one function since one start of one process."""

    calls: int = 0
    total: int = 0
    zero: int = 0
    buckets: Buckets = (0, ())


class Process:
    """One process.

    Attributes:
        folded: its figures are closed; what it still reports is not counted.
        durations: (function, start) → highest point.
        counts: (function, start, label) → highest value.
        externals: what it called, by function, via, peer and protocol.
        heard: by the clock of :class:`Known`.
    """

    __slots__ = ("counts", "durations", "externals", "folded", "heard")

    def __init__(self, heard: float) -> None:
        self.folded = False
        self.durations: dict[tuple[str, int], Highest] = {}
        self.counts: dict[tuple[str, int, Label], int] = {}
        self.externals: set[tuple[str, str, str, str]] = set()
        self.heard = heard

    @property
    def series(self) -> int:
        """How much of memory it takes."""
        return 1 + len(self.durations) + len(self.counts) + len(self.externals)


class Known:
    """Processes by (service, instance).

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._processes: dict[tuple[str, str], Process] = {}

    def forget(self) -> None:
        """Read again from the engine; needed after a write that failed, and when processes were folded."""
        self._processes.clear()

    def processes(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Process]:
        """Return those that report now, reading what is unknown or old."""
        now = self._clock()
        keys = list(dict.fromkeys(wanted))
        unknown = [key for key in keys if key not in self._processes or now - self._processes[key].heard > FRESH]
        if unknown and sum(one.series for one in self._processes.values()) > _MOST_SERIES:
            self._processes.clear()
            unknown = keys
        for first in range(0, len(unknown), _AT_ONCE):
            self._read(unknown[first : first + _AT_ONCE], now)
        for key in keys:
            self._processes[key].heard = now
        return {key: self._processes[key] for key in keys}

    def _read(self, keys: Sequence[tuple[str, str]], now: float) -> None:
        wanted = {"services": [service for service, _ in keys], "instances": [instance for _, instance in keys]}
        found = {key: Process(now) for key in keys}
        rows = self._connection.rows
        for service, instance in rows(_READ_FOLDED, **wanted):
            found[service, instance].folded = True
        for service, instance, function, start, calls, (total, zero, slots, counts) in rows(_READ_DURATIONS, **wanted):
            highest = Highest(calls, total, zero, dense(slots, counts))
            found[service, instance].durations[function, start] = highest
        for service, instance, function, start, *label, value in rows(_READ_COUNTS, **wanted):
            found[service, instance].counts[function, start, (label[0], label[1], label[2])] = value
        for service, instance, function, via, peer, protocol in rows(_READ_EXTERNALS, **wanted):
            found[service, instance].externals.add((function, via, peer, protocol))
        self._processes.update(found)


class Names:
    """Bounded names of functions and decisions, the same for all collectors of one engine.

    Args:
        most_functions: distinct function names; beyond it every new one is kept under ``OVERFLOW``.
    """

    def __init__(self, connection: Connection, most_functions: int) -> None:
        self._connection = connection
        self._most = {"function": most_functions, "label": MOST_LABELS}
        self.forget()

    def forget(self) -> None:
        """Read again from the engine; needed after a write that failed."""
        self._known: dict[str, set[str]] | None = None
        self._new: list[tuple[str, str]] = []
        self._current = False

    def begin(self) -> None:
        """A write begins: other collectors may have added names since the last one."""
        self._new = []
        self._current = False

    def new(self) -> Block | None:
        """Return the names that this write has added."""
        return encoded(NAMES, self._new) if self._new else None

    def function(self, name: str) -> str:
        """Return what a function is kept under."""
        return self._kept("function", name, OVERFLOW)

    def label(self, strategy: str, decision: str, reason: str) -> Label:
        """Return what a decision is kept under."""
        text = orjson.dumps((strategy, decision, reason)).decode()
        kept = self._kept("label", text, OVERFLOW)
        return (strategy, decision, reason) if kept == text else (OVERFLOW, OVERFLOW, OVERFLOW)

    def _kept(self, kind: str, name: str, overflow: str) -> str:
        known = self._read() if self._known is None else self._known
        if name in known[kind]:
            return name
        if not self._current:  # once for each write
            known = self._read()
            if name in known[kind]:
                return name
        if len(known[kind]) >= self._most[kind] and name != overflow:
            return self._kept(kind, overflow, overflow)
        known[kind].add(name)
        self._new.append((kind, name))
        return name

    def _read(self) -> dict[str, set[str]]:
        known: dict[str, set[str]] = {"function": set(), "label": set()}
        for kind, name in [*self._connection.rows("select distinct kind, name from names"), *self._new]:
            known.setdefault(kind, set()).add(name)
        self._known, self._current = known, True
        return known


def dense(slots: Sequence[int], counts: Sequence[int]) -> Buckets:
    """Return buckets from their numbers and counts."""
    return add((slot, (max(0, count),)) for slot, count in zip(slots, counts, strict=True))


def sparse(buckets: Buckets) -> tuple[list[int], list[int]]:
    """Return the numbers of buckets that are not empty, and their counts."""
    filled = [(slot, count) for slot, count in enumerate(buckets[1], buckets[0]) if count]
    return [slot for slot, _ in filled], [count for _, count in filled]
