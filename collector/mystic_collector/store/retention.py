"""What is removed when it is too old or too much. Totals of functions never go: they are folded."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from mystic_collector.store import lives, segments
from mystic_collector.store.figures import ADD_INTERVAL, INTERVAL, WIDTH
from mystic_collector.store.queries import used_bytes

WIDE = 300
"""Seconds of one interval of the history once it is older than an hour."""

YOUNG = 3600
"""Seconds after which intervals of the history are made wider."""

_MOST_ROWS = 50_000
_MOST_SEGMENTS = 500
PAST = "(past)"
"""The instance under which figures of processes long gone are kept."""

_ROWS = ("points", "logs")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes kept."""

    max_age: float
    max_bytes: int


def drop_old(connection: sqlite3.Connection, limits: Limits, now: float) -> int:
    """Remove spans, log records, points and history older than the limit, oldest first, a bounded number at a time."""
    before = int(now - limits.max_age)
    removed = segments.drop(connection, "received < ?", before, _MOST_SEGMENTS)
    removed += sum(_drop_old_rows(connection, table, before) for table in _ROWS)
    removed += connection.execute("delete from intervals where at + width < ?", (before,)).rowcount
    return removed


def _drop_old_rows(connection: sqlite3.Connection, table: str, before: int) -> int:
    # The oldest row decides without a scan: rows are numbered as they arrive.
    oldest = connection.execute(f"select received from {table} order by id limit 1").fetchone()  # noqa: S608 - ours
    if not oldest or oldest[0] >= before:
        return 0
    inner = f"select id from {table} where received < ? order by id limit ?"  # noqa: S608 - our own name
    sql = f"delete from {table} where id in ({inner})"  # noqa: S608 - our own name
    return connection.execute(sql, (before, _MOST_ROWS)).rowcount


def drop_excess(connection: sqlite3.Connection, limits: Limits, now: float) -> int:
    """Remove about the oldest tenth of spans, log records and points while too many bytes are in use."""
    if used_bytes(connection) <= limits.max_bytes:
        return 0
    removed = 0
    low, high = connection.execute("select min(id), max(id) from segments").fetchone()
    if low is not None:
        removed += segments.drop(connection, "id <= ?", low + (high - low) // 10, _MOST_SEGMENTS)
    for table in _ROWS:
        low, high = connection.execute(f"select min(id), max(id) from {table}").fetchone()  # noqa: S608 - our own name
        if low is not None:
            upto = low + min(_MOST_ROWS, (high - low) // 10)
            removed += connection.execute(f"delete from {table} where id <= ?", (upto,)).rowcount  # noqa: S608
    return removed


def widen_history(connection: sqlite3.Connection, limits: Limits, now: float) -> int:
    """Join intervals older than an hour into wider ones."""
    before = (int(now) - YOUNG) // WIDE * WIDE
    sql = f"""
        insert into intervals({INTERVAL})
        select function, service, :wide, at / :wide * :wide, sum(calls), sum(untimed), sum(errors), sum(hits),
          sum(total), sum(zero), sum_buckets(buckets)
        from intervals where width = :width and at < :before group by function, service, at / :wide
        {ADD_INTERVAL}"""  # noqa: S608 - constants
    connection.execute(sql, {"wide": WIDE, "width": WIDTH, "before": before})
    return connection.execute("delete from intervals where width = ? and at < ?", (WIDTH, before)).rowcount


def fold_the_dead(connection: sqlite3.Connection, limits: Limits, now: float) -> int:
    """Add the figures of processes not heard of for the whole retention to one row per service and function.

    The process stays known, so that a point that comes later all the same is not counted twice.
    """
    rows = connection.execute(
        "select id, service from instances where folded = 0 and instance <> ? and last_seen < ?"
        " order by last_seen limit 100",
        (PAST, int(now - limits.max_age)),
    ).fetchall()
    for number, service in rows:
        past = _past(connection, service, int(now))
        connection.execute(_FOLD_DURATIONS, {"past": past, "dead": number})
        connection.execute(_FOLD_COUNTS, {"past": past, "dead": number})
        lives.drop(connection, number)
        for table in ("durations", "counts", "facts", "externals"):
            connection.execute(f"delete from {table} where instance = ?", (number,))  # noqa: S608
        connection.execute("update instances set folded = 1 where id = ?", (number,))
    return len(rows)


def _past(connection: sqlite3.Connection, service: str, now: int) -> int:
    connection.execute(
        "insert or ignore into instances(service, instance, stage, attributes, first_seen, last_seen)"
        " values(?, ?, '', '{}', ?, ?)",
        (service, PAST, now, now),
    )
    sql = "select id from instances where service = ? and instance = ?"
    return int(connection.execute(sql, (service, PAST)).fetchone()[0])


_FOLD_DURATIONS = """
insert into durations(function, instance, start, time, calls, total, low, high, zero, buckets)
select function, :past, 0, max(time), sum(calls), sum(total), min(low), max(high), sum(zero), sum_buckets(buckets)
from durations where instance = :dead group by function
on conflict do update set time = max(time, excluded.time), calls = calls + excluded.calls,
  total = total + excluded.total, low = min(low, excluded.low), high = max(high, excluded.high),
  zero = zero + excluded.zero, buckets = add_buckets(buckets, excluded.buckets)"""
_FOLD_COUNTS = """
insert into counts(function, instance, start, label, time, value)
select function, :past, 0, label, max(time), sum(value) from counts where instance = :dead group by function, label
on conflict do update set time = max(time, excluded.time), value = value + excluded.value"""

STEPS = (drop_old, widen_history, fold_the_dead, drop_excess)
