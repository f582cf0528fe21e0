"""Spans: OTLP bodies as they came, found by trace and by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mystic_collector.store import picked
from mystic_collector.store.clickhouse.connection import Connection
from mystic_collector.store.records import LARGEST, SpanQuery, StoredSpan

_AT_ONCE = 64

_CANDIDATES = """
select id, service, instance, body, count from segments
where id < {before:Int64} and ({service:String} = '' or service = {service:String})
  and ({besides:String} = '' or service <> {besides:String})
  and (not {errors:Bool} or errors > 0) and longest >= {shortest:Int64}
  and ({function:String} = '' or hasAny(names, [{function:String}, {dotted:String}]))
order by id desc limit {most:UInt32}"""
_OF_TRACES = """
select service, instance, body from segments where hasAny(traces, {traces:Array(UInt64)}) order by id"""


def traces(connection: Connection, query: SpanQuery) -> list[list[StoredSpan]]:
    """Return the newest traces with a matching span."""
    rows = ((body, count) for _, _, body, count in _candidates(connection, query))
    return _whole(connection, picked.matching_traces(rows, query), query.brief)


def failures(connection: Connection, query: SpanQuery) -> list[StoredSpan]:
    """Return matching spans that ended in an error, newest first."""
    return picked.failures(_candidates(connection, query, errors=True), query)


def trace(connection: Connection, trace_id: bytes) -> list[StoredSpan]:
    """Return one trace."""
    return _whole(connection, [trace_id], brief=False)[0]


def _whole(connection: Connection, ids: Sequence[bytes], brief: bool) -> list[list[StoredSpan]]:
    if not ids:
        return []
    halves = [int.from_bytes(one[-8:]) for one in ids]  # what has the same half and is another is left aside when read
    return picked.traces(_bodies(connection.rows(_OF_TRACES, ("body",), traces=halves)), ids, brief)


def _bodies(rows: list[tuple[Any, ...]]) -> Iterator[tuple[str, str, bytes]]:
    yield from rows


def _candidates(
    connection: Connection, query: SpanQuery, errors: bool = False
) -> Iterator[tuple[str, str, bytes, int]]:
    """Yield (service, instance, body, how many spans) of segments with what is meant, newest first."""
    wanted = {
        "service": query.service,
        "besides": query.besides,
        "errors": errors or query.errors,
        "shortest": 0 if errors else query.min_duration_ns,
        "function": "" if errors else query.function,
        "dotted": query.function.replace(":", "."),
        "most": _AT_ONCE,
    }
    before = LARGEST
    while rows := connection.rows(_CANDIDATES, ("body",), before=before, **wanted):
        for _, service, instance, body, count in rows:
            yield service, instance, body, count
        before = rows[-1][0]
        if len(rows) < _AT_ONCE:
            return
