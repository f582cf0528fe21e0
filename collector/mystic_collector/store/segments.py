"""Spans in SQLite: OTLP bodies as they came, found by trace and by name, read with the OTLP reader."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from mystic_collector.otlp.spans import spans_in
from mystic_collector.store import picked
from mystic_collector.store.names import Names
from mystic_collector.store.records import OVERFLOW, SpanQuery, SpanSegment, StoredSpan

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
    return picked.matching_traces(connection.execute(_NAMED if query.function else _CANDIDATES, wanted), query)


def failures(connection: sqlite3.Connection, query: SpanQuery) -> list[StoredSpan]:
    """Return matching spans that ended in an error, newest first."""
    rows = connection.execute(_FAILED, {"service": query.service, "besides": query.besides})
    return picked.failures(rows, query)


def traces(connection: sqlite3.Connection, ids: Sequence[bytes], brief: bool = False) -> list[list[StoredSpan]]:
    """Return the spans of each of the traces by start."""
    sql = _OF_TRACES.format(", ".join("?" * len(ids)))
    return picked.traces(connection.execute(sql, ids), ids, brief)


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
