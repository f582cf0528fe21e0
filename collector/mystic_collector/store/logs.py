"""Log records in SQLite: a row each, since they are few and looked for by function, event, time and trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson
from mystic_agent.contract.wire import FUNCTION

from mystic_collector.store.log_records import Cursor, LogPage, LogQuery, LogRow, StoredLog
from mystic_collector.store.names import Names
from mystic_collector.store.records import OVERFLOW

MOST_PAGE_BYTES = 1_000_000
"""Text of one page at most; a single larger record is a page of its own."""

_MOST_EXAMINED = 200_000
"""Records looked through for one page at most; its cursor says where to go on."""

TABLES = """
create table if not exists logs(
  id integer primary key, received integer not null, instance integer not null, time integer not null,
  function integer not null, event text not null, severity integer not null, trace_id blob, span_id blob,
  body text not null, attributes text not null);
create index if not exists logs_by_time on logs(time);
create index if not exists logs_by_function on logs(function, time);
create index if not exists logs_by_event on logs(event, time);
create index if not exists logs_by_trace on logs(trace_id) where trace_id is not null;
"""

_KEEP = (
    "insert into logs(received, instance, time, function, event, severity, trace_id, span_id, body, attributes)"
    " values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FOUND = """
select l.id, i.service, i.instance, l.time, l.event, coalesce(f.name, ''), l.severity, l.trace_id, l.span_id, l.body,
  l.attributes
from logs l left join instances i on i.id = l.instance left join functions f on f.id = l.function"""


def keep(connection: sqlite3.Connection, names: Names, instance: int, rows: Iterable[LogRow], received: int) -> None:
    """Write records; a transaction is open."""
    connection.executemany(
        _KEEP,
        [
            (
                received,
                instance,
                row.time_ns or received * 10**9,
                names.function(row.function) if row.function else 0,
                row.event,
                row.severity,
                row.trace_id or None,
                row.span_id or None,
                row.body,
                row.attributes,
            )
            for row in rows
        ],
    )


def find(connection: sqlite3.Connection, query: LogQuery) -> LogPage:
    """Return one page of what is wanted."""
    [newest] = connection.execute("select coalesce(max(id), 0) from logs").fetchone()
    conditions, values = _conditions(connection, query)
    order = "l.time desc, l.id desc" if query.after is None else "l.id"
    where = f" where {' and '.join(conditions)}" if conditions else ""
    rows = connection.execute(f"{_FOUND}{where} order by {order}", values)
    return page(map(_stored, rows), query, newest)


def page(records: Iterable[StoredLog], query: LogQuery, newest: int) -> LogPage:
    """Return those of ``records``, in their order, that are meant and fit onto one page; no more are taken.

    Args:
        newest: the highest id there is.
    """
    found: list[StoredLog] = []
    text, size = query.text.casefold(), 0
    last: Cursor | None = None
    for examined, stored in enumerate(records):
        matches = _matches(stored.row, query, text)
        size += len(stored.row.body) + len(stored.row.attributes) if matches else 0
        full = len(found) >= query.limit or (found and size > MOST_PAGE_BYTES)
        if last is not None and (full or examined >= _MOST_EXAMINED):
            return LogPage(found, last, last.id if query.after is not None else newest)
        last = Cursor(stored.row.time_ns, stored.id)
        if matches:
            found.append(stored)
    return LogPage(found, None, newest)


def _matches(row: LogRow, query: LogQuery, text: str) -> bool:
    if query.function and row.function != query.function:
        return False  # kept under the name that stands for too many
    return not text or text in row.body.casefold() or text in row.attributes.casefold()


def _conditions(connection: sqlite3.Connection, query: LogQuery) -> tuple[list[str], list[Any]]:
    """Return the parts of the where clause and their values: only those that are asked for, so that an index serves."""
    conditions: list[str] = []
    values: list[Any] = []

    def add(condition: str, *more: Any) -> None:
        conditions.append(condition)
        values.extend(more)

    if query.function:
        sql = "select id from functions where name in (?, ?) order by name = ? limit 1"
        row = connection.execute(sql, (query.function, OVERFLOW, OVERFLOW)).fetchone()
        add("l.function = ?", row[0] if row else -1)
    if query.events:
        add(f"l.event in ({', '.join('?' * len(query.events))})", *query.events)
    if query.without:
        add(f"l.event not in ({', '.join('?' * len(query.without))})", *query.without)
    if query.service:
        add("l.instance in (select id from instances where service = ?)", query.service)
    if query.severity:
        add("l.severity >= ?", query.severity)
    if query.since_ns:
        add("l.time >= ?", query.since_ns)
    if query.trace_id:
        add("l.trace_id = ?", query.trace_id)
    if query.id:
        add("l.id = ?", query.id)
    if query.before is not None:
        add("(l.time, l.id) < (?, ?)", *query.before)
    if query.after is not None:
        add("l.id > ?", query.after)
    return conditions, values


def _stored(row: tuple[Any, ...]) -> StoredLog:
    number, service, instance, time, event, function, severity, trace_id, span_id, body, attributes = row
    if function == OVERFLOW:
        function = str(orjson.loads(attributes).get(FUNCTION, function))
    kept = LogRow(time, event, function, severity, trace_id or b"", span_id or b"", body, attributes)
    return StoredLog(number, service, instance, kept)
