"""From what was heard to blocks for the engine; nothing is sent here. Used by the writing thread alone."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from mystic_collector.store.buckets import subtract
from mystic_collector.store.clickhouse import schema
from mystic_collector.store.clickhouse.connection import Block, Connection, encoded
from mystic_collector.store.clickhouse.known import Highest, Known, Names, Process, sparse
from mystic_collector.store.clickhouse.schema import Table
from mystic_collector.store.clickhouse.slices import Slices
from mystic_collector.store.external_records import ExternalPoint
from mystic_collector.store.figures import WIDTH
from mystic_collector.store.life_records import MarkRow
from mystic_collector.store.merged import merged_counts, merged_durations
from mystic_collector.store.records import CountPoint, FunctionPoint, Incoming, Resource

MOST_EXTERNALS = 1000
"""Of one process; its agent sends fewer."""

NOBODY = "-"
"""Stands among the functions for calls that no function of the project made."""

_ORDER = (
    schema.NAMES,
    schema.PROCESSES,
    schema.GROWTH,
    schema.DURATIONS,
    schema.COUNTS,
    schema.MARKS,
    schema.EXTERNALS,
    schema.FACTS,
    schema.SEGMENTS,
    schema.LOGS,
    schema.POINTS,
)
"""Growth before the totals: what another collector reads as known has its growth written already."""

_TOKENS = (schema.SEGMENTS, schema.LOGS, schema.POINTS)


class Writing:
    """Remembers what was written, to write what is new.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, connection: Connection, slices: Slices, most_functions: int, clock: Callable[[], float]) -> None:
        self._known = Known(connection)
        self._names = Names(connection, most_functions)
        self._slices = slices
        self._clock = clock
        self._last_id = 0
        self._rows: dict[str, list[Sequence[Any]]] = {}

    def forget(self) -> None:
        """Read again from the engine; needed after a write that failed, and when processes were folded."""
        self._known.forget()
        self._names.forget()

    def blocks(self, batch: Sequence[Incoming]) -> list[Block]:
        """Return what is to be sent, in this order.

        Raises:
            StoreError: when something cannot be kept, or the engine cannot be asked what it knows.
        """
        now = self._clock()
        self._rows = defaultdict(list)
        self._names.begin()
        self._cut = (self._slices.current(now, sum(one.weight for one in batch)), int(now))
        processes = self._known.processes((one.resource.service, one.resource.instance) for one in batch)
        for one in batch:
            self._add(one, processes[one.resource.service, one.resource.instance], now)
        resources = {(one.resource.service, one.resource.instance): one.resource for one in batch}
        self._rows[schema.PROCESSES.name] = [(*tuple(one), int(now)) for one in resources.values()]
        names = self._names.new()
        return ([names] if names else []) + [self._block(table) for table in _ORDER if self._rows.get(table.name)]

    def _block(self, table: Table) -> Block:
        return encoded(table, self._rows[table.name], secrets.token_hex(16) if table in _TOKENS else "")

    def _add(self, one: Incoming, process: Process, now: float) -> None:
        who = (one.resource.service, one.resource.instance)
        now_ns = int(now * 1e9)
        self._spans(who, one)
        self._put(schema.LOGS, (self._log(who, row, now) for row in one.logs))
        points = ((*self._cut, self._id(now), *who, *point) for point in one.points)
        self._put(schema.POINTS, points)
        self._put(schema.FACTS, ((*who, fact.metric, fact.kind, fact.time_ns, fact.value) for fact in one.facts))
        if not process.folded:
            self._durations(who, process, one.functions, now_ns)
            self._counts(who, process, one.counts, now_ns)
            self._put(schema.MARKS, (self._mark(who, row) for row in one.marks))
            self._externals(one.resource, process, one.externals, now_ns)

    def _put(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        self._rows[table.name].extend(rows)

    def _id(self, now: float) -> int:
        """Return a number that grows in the order of arrival and that a browser can read: Unix microseconds."""
        self._last_id = max(self._last_id + 1, int(now * 1e6))
        return self._last_id

    def _spans(self, who: tuple[str, str], one: Incoming) -> None:
        if segment := one.spans:
            traces = [int.from_bytes(trace[-8:]) for trace in segment.traces]
            figures = (segment.size, segment.errors, segment.longest_ns)
            row = (*self._cut, self._id(self._clock()), *who, *figures, traces, list(segment.names), segment.body)
            self._rows[schema.SEGMENTS.name].append(row)

    def _log(self, who: tuple[str, str], row: Any, now: float) -> Sequence[Any]:
        time_ns = row.time_ns or int(now) * 10**9
        origin = (time_ns, row.event, row.function, row.severity, row.trace_id.hex(), row.span_id.hex())
        return (*self._cut, self._id(now), *who, *origin, row.body, row.attributes)

    def _durations(self, who: tuple[str, str], process: Process, points: Sequence[FunctionPoint], now_ns: int) -> None:
        for key, point in merged_durations(points, self._names.function).items():
            known = process.durations.get(key, Highest())
            if point.calls <= known.calls:
                continue
            process.durations[key] = Highest(point.calls, point.total_ns, point.zero, point.buckets)
            figures = (point.calls, point.total_ns, point.min_ns, point.max_ns, point.zero, *sparse(point.buckets))
            self._rows[schema.DURATIONS.name].append((*who, *key, min(point.time_ns, now_ns), *figures))
            grown = (max(0, point.total_ns - known.total), max(0, point.zero - known.zero))
            buckets = sparse(subtract(point.buckets, known.buckets))
            self._grown(who, key, "calls", ("", "", ""), (known.calls, point.calls, *grown, *buckets))

    def _counts(self, who: tuple[str, str], process: Process, points: Sequence[CountPoint], now_ns: int) -> None:
        merged = merged_counts(points, self._names.function, self._names.label, now_ns)
        for (function, start, label), (value, time_ns, kind) in merged.items():
            known = process.counts.get((function, start, label), 0)
            if value <= known:
                continue
            process.counts[function, start, label] = value
            self._rows[schema.COUNTS.name].append((*who, function, start, *label, time_ns, value))
            if kind:
                self._grown(who, (function, start), kind, label, (known, value, 0, 0, [], []))

    def _grown(
        self,
        who: tuple[str, str],
        series: tuple[str, int],
        kind: str,
        label: tuple[str, str, str],
        figures: tuple[Any, ...],
    ) -> None:
        at = self._cut[1] - self._cut[1] % WIDTH
        self._rows[schema.GROWTH.name].append((*self._cut, *who, *series, kind, *label, at, *figures))

    def _mark(self, who: tuple[str, str], row: MarkRow) -> Sequence[Any]:
        body = orjson.dumps(row.mark.to_json()).decode()
        return (self._names.function(row.function), *who, row.mark.number, list(row.mark.hijacks), body)

    def _externals(self, origin: Resource, process: Process, points: Iterable[ExternalPoint], now_ns: int) -> None:
        who = (origin.service, origin.instance)
        for one in points:
            key = (self._names.function(one.function or NOBODY), one.via, one.peer, one.protocol)
            if key not in process.externals and len(process.externals) >= MOST_EXTERNALS:
                continue
            process.externals.add(key)
            row = (*who, origin.stage, *key, min(one.time_ns, now_ns), *one[5:])
            self._rows[schema.EXTERNALS.name].append(row)
