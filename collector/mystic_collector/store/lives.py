"""Marks of hijacks in the figures of functions, and those figures process by process."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable

import orjson
from mystic_agent.contract.mark import Mark

from mystic_collector.store.buckets import Buckets, unpack
from mystic_collector.store.life_records import Life, LifeQuery, MarkRow, Tally
from mystic_collector.store.marks import marks_in
from mystic_collector.store.names import Names
from mystic_collector.store.records import UNTIMED

TABLES = """
create table if not exists marks(
  function integer not null, instance integer not null, number integer not null, body text not null,
  primary key(function, instance, number)) without rowid;
create table if not exists marked(
  hijack text not null, function integer not null, primary key(hijack, function)) without rowid;
"""
MOST_MARKS = 1000
"""Kept of one function in one process; the oldest go first."""

_CONCERNED = """
f.id in (select function from marked where :hijack in ('', hijack))
  and (:function = '' or f.name = :function) and (:service = '' or i.service = :service) and i.folded = 0
"""
_DURATIONS = f"""
select f.id, i.id, f.name, i.service, i.instance, i.stage, sum(d.total), sum(d.zero), sum_buckets(d.buckets),
  max(d.time)
from durations d join instances i on i.id = d.instance join functions f on f.id = d.function
where {_CONCERNED} and i.instance <> :past group by f.id, i.id"""  # noqa: S608 - constants
_COUNTS = f"""
select f.id, i.id, f.name, i.service, i.instance, i.stage, l.strategy, l.decision, sum(c.value), max(c.time)
from counts c join instances i on i.id = c.instance join functions f on f.id = c.function
  join labels l on l.id = c.label
where {_CONCERNED} and i.instance <> :past group by f.id, i.id, l.strategy, l.decision"""  # noqa: S608 - constants
_MARKS = f"""
select f.id, i.id, f.name, i.service, i.instance, i.stage, m.body
from marks m join instances i on i.id = m.instance join functions f on f.id = m.function
where {_CONCERNED} order by m.number"""  # noqa: S608 - constants


def keep(connection: sqlite3.Connection, names: Names, instance: int, rows: Iterable[MarkRow]) -> None:
    """Keep marks of one process; one that is known already stays as it is."""
    for row in rows:
        function, mark = names.function(row.function), row.mark
        body = orjson.dumps(mark.to_json()).decode()
        sql = "insert or ignore into marks(function, instance, number, body) values(?, ?, ?, ?)"
        if connection.execute(sql, (function, instance, mark.number, body)).rowcount:
            connection.execute(
                "delete from marks where function = ? and instance = ? and number <= ?",
                (function, instance, mark.number - MOST_MARKS),
            )
        sql = "insert or ignore into marked(hijack, function) values(?, ?)"
        connection.executemany(sql, [(hijack, function) for hijack in mark.hijacks])


def drop(connection: sqlite3.Connection, instance: int) -> None:
    """Forget the marks of one process; what no process has marked is forgotten as a whole."""
    connection.execute("delete from marks where instance = ?", (instance,))
    connection.execute("delete from marked where function not in (select function from marks)")


def find(connection: sqlite3.Connection, query: LifeQuery, past: str) -> list[Life]:
    """Return the lives of functions that some hijack was ever in force on.

    Args:
        past: the instance that stands for processes long gone, which is left out.
    """
    wanted = {"function": query.function, "service": query.service, "hijack": query.hijack, "past": past}
    made: dict[tuple[int, int], _Made] = {}
    for number, instance, *who, total, zero, packed, time in connection.execute(_DURATIONS, wanted):
        one = made.setdefault((number, instance), _Made(who))
        one.total, one.zero, one.buckets, one.last = total, zero, unpack(packed), time
    for number, instance, *who, strategy, decision, value, time in connection.execute(_COUNTS, wanted):
        one = made.setdefault((number, instance), _Made(who))
        one.count(strategy, decision, value)
        one.last = max(one.last, time)
    for number, instance, *who, body in connection.execute(_MARKS, wanted):
        one = made.setdefault((number, instance), _Made(who))
        one.marks += marks_in(body)
    return [one.life() for _, one in sorted(made.items(), key=lambda pair: pair[0])]


class _Made:
    """One life while its parts are read."""

    def __init__(self, who: list[str]) -> None:
        self.who = who
        self.total = self.zero = self.errors = self.untimed = self.last = 0
        self.buckets: Buckets = (0, [])
        self.decisions: dict[str, int] = defaultdict(int)
        self.marks: list[Mark] = []

    def count(self, strategy: str, decision: str, value: int) -> None:
        if strategy:
            self.decisions[f"{strategy}/{decision}"] += value
        elif decision == UNTIMED:
            self.untimed += value
        else:
            self.errors += value

    def life(self) -> Life:
        function, service, instance, stage = self.who
        tally = Tally(self.zero, self.buckets, self.untimed, self.errors, self.total, dict(self.decisions))
        return Life(service, instance, stage, function, tally, self.marks, self.last)
