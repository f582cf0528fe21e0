"""Log records: found by function, event, time and trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mystic_collector.store.clickhouse.connection import Connection
from mystic_collector.store.log_records import Cursor, LogPage, LogQuery, LogRow, StoredLog
from mystic_collector.store.logs import page

_AT_ONCE = 1000
_COLUMNS = "id, service, instance, time, event, function, severity, trace_id, span_id, body, attributes"
_WANTED = {
    "function": "function = {function:String}",
    "service": "service = {service:String}",
    "events": "event in {events:Array(String)}",
    "without": "event not in {without:Array(String)}",
    "severity": "severity >= {severity:Int32}",
    "since_ns": "time >= {since_ns:Int64}",
    "trace_id": "trace_id = {trace_id:String}",
    "id": "id = {id:Int64}",
}
"""A field that is asked for → its condition."""


def find(connection: Connection, query: LogQuery) -> LogPage:
    """Return one page of what is wanted."""
    [[newest]] = connection.rows("select max(id) from logs")
    return page(_records(connection, query), query, newest)


def _records(connection: Connection, query: LogQuery) -> Iterator[StoredLog]:
    """Yield records in the order of the page, some at a time."""
    most = _AT_ONCE if query.text else min(_AT_ONCE, query.limit + 1)
    while True:
        rows = _read(connection, query, most)
        yield from map(_stored, rows)
        if len(rows) < most:
            return
        last = _stored(rows[-1])
        if query.after is None:
            query = replace(query, before=Cursor(last.row.time_ns, last.id))
        else:
            query = replace(query, after=last.id)


def _read(connection: Connection, query: LogQuery, most: int) -> list[tuple[Any, ...]]:
    asked = {name: getattr(query, name) for name in _WANTED if getattr(query, name)}
    conditions = [_WANTED[name] for name in asked]
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items()}
    if "trace_id" in values:
        values["trace_id"] = query.trace_id.hex()
    if query.before is not None:
        conditions.append("(time, id) < ({before_time:Int64}, {before_id:Int64})")
        values |= {"before_time": query.before.time_ns, "before_id": query.before.id}
    if query.after is not None:
        conditions.append("id > {after:Int64}")
        values["after"] = query.after
    where = f" where {' and '.join(conditions)}" if conditions else ""
    order = "time desc, id desc" if query.after is None else "id"
    sql = f"select {_COLUMNS} from logs{where} order by {order} limit {{most:UInt32}}"  # noqa: S608 - our own text
    return connection.rows(sql, most=most, **values)


def _stored(row: tuple[Any, ...]) -> StoredLog:
    number, service, instance, time, event, function, severity, trace_id, span_id, body, attributes = row
    traced = (bytes.fromhex(trace_id), bytes.fromhex(span_id))
    return StoredLog(number, service, instance, LogRow(time, event, function, severity, *traced, body, attributes))
