"""Spans in SQLite: OTLP bodies as they came, found by trace and by name, read with the OTLP reader."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from mystic_collector.otlp.spans import function_of, is_error, row_of, spans_in
from mystic_collector.store.names import Names
from mystic_collector.store.records import OVERFLOW, SpanQuery, SpanSegment, StoredSpan

MOST_SPANS = 10_000
"""Spans of one trace that are returned at most."""

_MOST_EXAMINED = 500_000
"""Spans looked through for one query at most; older ones are not found."""

_AHEAD = 4
"""Errors looked at for each one asked for."""

_CANDIDATES = """
select s.body, s.count from segments s
where (:service = '' or s.instance in (select id from instances where service = :service))
  and (:besides = '' or s.instance not in (select id from instances where service = :besides))
  and (not :errors or s.errors > 0) and s.longest >= :shortest
order by s.id desc"""
_NAMED = """
select s.body, s.count from segments s
where s.id in (
    select n.segment from segment_names n join span_names p on p.id = n.name
    where p.name in (:function, :dotted, :overflow))
  and (:service = '' or s.instance in (select id from instances where service = :service))
  and (:besides = '' or s.instance not in (select id from instances where service = :besides))
  and (not :errors or s.errors > 0) and s.longest >= :shortest
order by s.id desc"""
_FAILED = """
select i.service, i.instance, s.body, s.count from segments s join instances i on i.id = s.instance
where s.errors > 0 and (:service = '' or i.service = :service) and i.service <> :besides order by s.id desc"""
_OF_TRACES = """
select i.service, i.instance, s.body from segments s join instances i on i.id = s.instance
where s.id in (select segment from segment_traces where trace_id in ({})) order by s.id"""

_INDEX_TRACES = """
with recursive step(i) as (select 0 union all select i + 1 from step where i + 1 < ?)
insert into segment_traces select substr(?, i * 16 + 1, 16), ? from step"""
_INDEX_NAMES = "insert into segment_names select value, ? from json_each(?)"


def keep(connection: sqlite3.Connection, names: Names, instance: int, segment: SpanSegment, received: int) -> None:
    """Write one segment; a transaction is open."""
    number = connection.execute(
        "insert into segments(received, instance, count, errors, longest, body) values(?, ?, ?, ?, ?, ?)",
        (received, instance, segment.size, segment.errors, segment.longest_ns, segment.body),
    ).lastrowid
    # One statement each, whatever their number: between two statements this thread waits for the interpreter,
    # which under load costs more than the statement. In order of the key, so that neighbours are written together.
    connection.execute(_INDEX_TRACES, (len(segment.traces), b"".join(sorted(segment.traces)), number))
    numbered = sorted({names.span_name(name) for name in segment.names})
    connection.execute(_INDEX_NAMES, (number, orjson.dumps(numbered).decode()))


def matching_traces(connection: sqlite3.Connection, query: SpanQuery) -> list[bytes]:
    """Return ids of the newest traces with a matching span."""
    wanted = {
        "service": query.service,
        "besides": query.besides,
        "errors": query.errors,
        "shortest": query.min_duration_ns,
        "function": query.function,
        "dotted": query.function.replace(":", "."),
        "overflow": OVERFLOW,
    }
    found: dict[bytes, None] = {}
    examined = 0
    for body, count in connection.execute(_NAMED if query.function else _CANDIDATES, wanted):
        for trace_id in _matching(body, query):
            found[trace_id] = None
            if len(found) >= query.limit:
                return list(found)
        examined += count
        if examined > _MOST_EXAMINED:
            break
    return list(found)


def failures(connection: sqlite3.Connection, query: SpanQuery) -> list[StoredSpan]:
    """Return matching spans that ended in an error, newest first.

    Requests come nearly in order of time, so that more than what is asked for is looked at before it is sorted.
    """
    found: dict[bytes, StoredSpan] = {}
    examined = 0
    query = replace(query, errors=True)
    for service, instance, body, count in connection.execute(
        _FAILED, {"service": query.service, "besides": query.besides}
    ):
        for span in spans_in(body):
            if _meets(span, query):
                found[span.span_id] = StoredSpan(service, instance, row_of(span))
        examined += count
        if len(found) >= _AHEAD * query.limit or examined > _MOST_EXAMINED:
            break
    return sorted(found.values(), key=lambda one: one.span.start_ns, reverse=True)


def _matching(body: bytes, query: SpanQuery) -> Iterator[bytes]:
    """Yield trace ids of matching spans of one segment, newest first."""
    found = [(span.start_time_unix_nano, span.trace_id) for span in spans_in(body) if _meets(span, query)]
    for _, trace_id in sorted(found, reverse=True):
        yield trace_id


def _meets(span: Span, query: SpanQuery) -> bool:
    duration = span.end_time_unix_nano - span.start_time_unix_nano
    too_short = query.min_duration_ns and duration < query.min_duration_ns
    if too_short or (query.errors and not is_error(span)):
        return False
    if not query.since_ns <= span.start_time_unix_nano <= query.until_ns:
        return False
    # The name decides quickly; the attribute tells a:b.c from a.b:c.
    ours = span.name == query.function.replace(":", ".") and function_of(span) in ("", query.function)
    return ours or query.function in ("", span.name)


def traces(connection: sqlite3.Connection, ids: Sequence[bytes], brief: bool = False) -> list[list[StoredSpan]]:
    """Return the spans of each of the traces by start.

    Neighbours in time share segments, and reading a segment costs the most: each is read once for all of them.
    """
    found: dict[bytes, dict[bytes, StoredSpan]] = {one: {} for one in ids}
    sql = _OF_TRACES.format(", ".join("?" * len(ids)))
    for service, instance, body in connection.execute(sql, ids):
        for span in spans_in(body):
            spans = found.get(span.trace_id)
            if spans is not None and len(spans) < MOST_SPANS:
                spans[span.span_id] = StoredSpan(service, instance, row_of(span, brief))  # a repeated request: once
    return [sorted(spans.values(), key=lambda one: one.span.start_ns) for spans in found.values()]


def drop(connection: sqlite3.Connection, condition: str, value: int, most: int) -> int:
    """Remove the oldest segments that meet ``condition``, at most ``most``; return how many spans went."""
    sql = f"select id, count from segments where {condition} order by id limit ?"  # noqa: S608 - our own text
    removed = 0
    for number, count in connection.execute(sql, (value, most)).fetchall():
        [body] = connection.execute("select body from segments where id = ?", (number,)).fetchone()
        traces = {(span.trace_id, number) for span in spans_in(body)}
        connection.executemany("delete from segment_traces where trace_id = ? and segment = ?", traces)
        connection.execute("delete from segments where id = ?", (number,))
        removed += count
    if removed:
        # Numbers only grow, so whatever lies below the oldest segment has lost it.
        oldest = "select coalesce(min(id), 9223372036854775807) from segments"
        connection.execute(f"delete from segment_names where segment < ({oldest})")  # noqa: S608 - our own text
    return removed
