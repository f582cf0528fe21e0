"""What is read from SQLite; each function takes a connection and returns records."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any

import orjson

from mystic_collector.store.buckets import Buckets, add, unpack
from mystic_collector.store.records import (
    OVERFLOW,
    UNTIMED,
    FunctionTotals,
    Interval,
    Recent,
    Sizes,
)

_FUNCTIONS = """
select i.service, f.name, sum(d.calls), sum(d.total), min(d.low), max(d.high), sum(d.zero),
  '[' || group_concat(d.buckets) || ']', count(distinct d.instance), max(d.time)
from durations d join instances i on i.id = d.instance join functions f on f.id = d.function
where (:service = '' or i.service = :service) and (:function = '' or f.name = :function)
group by i.service, f.name"""
_COUNTS = """
select i.service, f.name, l.strategy, l.decision, l.reason, sum(c.value), max(c.time)
from counts c join instances i on i.id = c.instance join functions f on f.id = c.function
  join labels l on l.id = c.label
where (:service = '' or i.service = :service) and (:function = '' or f.name = :function)
group by i.service, f.name, l.id"""
_HISTORY = """
select h.at, max(h.width), sum(h.calls), sum(h.untimed), sum(h.errors), sum(h.hits), sum(h.total),
  sum(h.zero), sum_buckets(h.buckets)
from intervals h join functions f on f.id = h.function
where f.name = :function and (:service = '' or h.service = :service) and h.at + h.width > :since
group by h.at order by h.at"""
_RECENT = """
select h.service, f.name, sum(h.calls), sum(h.untimed), sum(h.hits)
from intervals h join functions f on f.id = h.function
where h.at >= :since and (:service = '' or h.service = :service) group by h.service, f.name"""
_RATES = """
select h.at, h.width, sum(h.calls), sum(h.untimed), sum(h.errors), sum(h.hits), sum(h.total), sum(h.zero)
from functions f cross join (select distinct service from instances) s
  cross join (select distinct value as width from json_each(:widths)) w
  cross join intervals h
  on h.function = f.id and h.service = s.service and h.width = w.width and h.at > :since - w.width
where :service = '' or s.service = :service group by h.at, h.width order by h.at"""
_POINTS = """
select i.service, i.instance, p.time, p.metric, p.shape, p.unit, p.attributes, p.value, p.detail
from points p join instances i on i.id = p.instance
where (:metric = '' or p.metric = :metric) and (:service = '' or i.service = :service)
order by p.id desc limit :limit"""


def functions(connection: sqlite3.Connection, service: str, function: str) -> list[FunctionTotals]:
    """Return totals per service and function."""
    wanted = {"service": service, "function": function}
    decisions: dict[tuple[str, str], dict[tuple[str, str, str], int]] = defaultdict(dict)
    errors: dict[tuple[str, str], int] = {}
    untimed: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    for where, name, strategy, decision, reason, value, time in connection.execute(_COUNTS, wanted):
        key = (where, name)
        last[key] = max(last.get(key, 0), time)
        if strategy:
            decisions[key][strategy, decision, reason] = value
        elif decision == UNTIMED:
            untimed[key] = value
        else:
            errors[key] = value
    found = []
    for where, name, calls, total, low, high, zero, packed, instances, time in connection.execute(_FUNCTIONS, wanted):
        key = (where, name)
        found.append(
            FunctionTotals(
                service=where,
                function=name,
                calls=calls,
                untimed=untimed.pop(key, 0),
                errors=errors.pop(key, 0),
                total_ns=total,
                min_ns=low,
                max_ns=high,
                zero=zero,
                buckets=_summed(packed),
                decisions=decisions.pop(key, {}),
                instances=instances,
                last_ns=max(time, last.pop(key, 0)),
            )
        )
    for key in decisions.keys() | errors.keys() | untimed.keys():  # counted and never timed
        found.append(
            FunctionTotals(
                *key,
                untimed=untimed.get(key, 0),
                errors=errors.get(key, 0),
                decisions=decisions.get(key, {}),
                last_ns=last[key],
            )
        )
    return found


def _summed(packed: str) -> Buckets:
    """Return the sum of packed buckets in a JSON array: most functions run in one process, where nothing is summed.

    SQLite joins texts by itself; an aggregate of ours takes as long for each function as all the rest of its row.
    """
    each = orjson.loads(packed)
    if len(each) == 1:
        return each[0][0], each[0][1:]
    return add((offset, counts) for offset, *counts in each)


def history(connection: sqlite3.Connection, function: str, service: str, since: float) -> list[Interval]:
    """Return intervals with calls."""
    rows = connection.execute(_HISTORY, {"function": function, "service": service, "since": since})
    return [Interval._make((*row[:8], unpack(row[8]))) for row in rows]


def recent(connection: sqlite3.Connection, since: float, service: str) -> list[Recent]:
    """Return calls per service and function in the intervals from ``since`` (Unix seconds) on."""
    return [Recent._make(row) for row in connection.execute(_RECENT, {"since": since, "service": service})]


def rates(connection: sqlite3.Connection, since: float, service: str, widths: tuple[int, ...]) -> list[Interval]:
    """Return intervals with calls, all functions together and without their durations' distribution."""
    # In this order it is one look into the key for each function, instead of at all that is kept.
    wanted = {"since": since, "service": service, "widths": orjson.dumps(widths).decode()}
    return [Interval._make((*row, (0, ()))) for row in connection.execute(_RATES, wanted)]


def facts(connection: sqlite3.Connection) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
    """Return the latest facts per process."""
    sql = "select i.service, i.instance, a.metric, a.kind, a.value from facts a join instances i on i.id = a.instance"
    found: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for service, instance, metric, kind, value in connection.execute(sql):
        found[service, instance][metric, kind] = value
    return dict(found)


def points(connection: sqlite3.Connection, metric: str, service: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest points of other metrics."""
    names = ("service", "instance", "time_ns", "metric", "shape", "unit", "attributes", "value", "detail")
    rows = connection.execute(_POINTS, {"metric": metric, "service": service, "limit": limit})
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for one in found:
        one["attributes"], one["detail"] = orjson.loads(one["attributes"]), orjson.loads(one["detail"])
    return found


def sizes(connection: sqlite3.Connection) -> Sizes:
    """Return how full the file is. Points and logs are estimated from their numbering."""
    [spans_kept] = connection.execute("select coalesce(sum(count), 0) from segments").fetchone()
    [points_kept] = connection.execute("select coalesce(max(id) - min(id) + 1, 0) from points").fetchone()
    [logs_kept] = connection.execute("select coalesce(max(id) - min(id) + 1, 0) from logs").fetchone()
    [functions_kept] = connection.execute("select count(*) from functions").fetchone()
    overflowing = connection.execute("select 1 from functions where name = ?", (OVERFLOW,)).fetchone() is not None
    return Sizes(spans_kept, points_kept, functions_kept, overflowing, used_bytes(connection), logs_kept)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of pages in use."""
    [[pages], [free], [size]] = [
        connection.execute(f"pragma {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    ]
    return int((pages - free) * size)
