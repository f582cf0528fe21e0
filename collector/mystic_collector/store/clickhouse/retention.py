"""What is removed when it is too old or too much: whole slices, which costs the engine nothing.

Totals of functions never go. A process not heard of for the whole retention is closed: what it counted stays, and a
point that comes later all the same is not counted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from mystic_collector.store.clickhouse import schema
from mystic_collector.store.clickhouse.connection import Connection, encoded
from mystic_collector.store.retention import Limits

_SLICED = {table.name for table in schema.TABLES if table.sliced}
_LIST = """
select table, toUInt64(partition) as slice, sum(rows), sum(bytes_on_disk) from system.parts
where active and database = currentDatabase() and table in {tables:Array(String)}
group by table, slice order by slice"""
_NEWEST = "select max(received) from {table:Identifier} where slice = {slice:UInt64}"
_DROP = "alter table {table:Identifier} drop partition {slice:UInt64}"
_DEAD = """
select service, instance from processes where (service, instance) not in (select service, instance from folded)
group by service, instance having max(seen) < {before:UInt64} order by max(seen) limit 100"""
_CLOSED = "(service, instance) in (select service, instance from folded)"
_CLOSABLE = (schema.FACTS, schema.MARKS, schema.EXTERNALS)


class _Slice(NamedTuple):
    table: str
    number: int
    rows: int
    bytes: int


def drop_old(connection: Connection, limits: Limits, now: float) -> int:
    """Remove slices in which everything is older than the limit; return how many rows went."""
    before = int(now - limits.max_age)
    removed = 0
    for one in _slices(connection):
        if one.number >= before * 10**6:
            break  # they are in order: this and all after it began too late
        [[newest]] = connection.rows(_NEWEST, table=one.table, slice=one.number)
        if newest < before:
            removed += _drop(connection, one)
    return removed


def drop_excess(connection: Connection, limits: Limits, now: float) -> int:
    """Remove the oldest slices while too many bytes are in use; return how many rows went."""
    found = _slices(connection)
    [[used]] = connection.rows(
        "select sum(bytes_on_disk) from system.parts where active and database = currentDatabase()"
    )
    removed = 0
    by_number: dict[int, list[_Slice]] = defaultdict(list)
    for one in found:
        by_number[one.number].append(one)
    for number in sorted(by_number):
        if used <= limits.max_bytes:
            break
        removed += sum(_drop(connection, one) for one in by_number[number])
        used -= sum(one.bytes for one in by_number[number])
    return removed


def close_the_dead(connection: Connection, limits: Limits, now: float) -> int:
    """Close processes not heard of for the whole retention; return how many."""
    dead = connection.rows(_DEAD, before=max(0, int(now - limits.max_age)))
    if dead:
        connection.send(encoded(schema.FOLDED, dead))
        for table in _CLOSABLE:
            connection.command(f"delete from {table.name} where {_CLOSED}")  # noqa: S608 - our own names
    return len(dead)


def _slices(connection: Connection) -> list[_Slice]:
    return [_Slice(*row) for row in connection.rows(_LIST, tables=sorted(_SLICED))]


def _drop(connection: Connection, one: _Slice) -> int:
    connection.command(_DROP, table=one.table, slice=one.number)
    return one.rows


STEPS = (drop_old, close_the_dead, drop_excess)
