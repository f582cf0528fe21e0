"""External calls, process by process: the highest figures each has reported."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from mystic_collector.store.external_records import FIGURES, ExternalPoint, ExternalRow
from mystic_collector.store.names import Names

TABLES = f"""
create table if not exists externals(
  instance integer not null, function integer not null, via text not null, peer text not null, protocol text not null,
  time integer not null, {", ".join(f"{name} integer not null" for name in FIGURES)},
  primary key(instance, function, via, peer, protocol)) without rowid;
"""
MOST_ROWS = 1000
"""Of one process; its agent sends fewer."""

_KEY = ("instance", "function", "via", "peer", "protocol")
_COLUMNS = (*_KEY, "time", *FIGURES)
_KEEP = f"""
insert into externals({", ".join(_COLUMNS)}) select {", ".join(f":{name}" for name in _COLUMNS)}
where (select count(*) from externals where instance = :instance) < {MOST_ROWS}
  or exists (select 1 from externals where {" and ".join(f"{name} = :{name}" for name in _KEY)})
on conflict do update set time = max(time, excluded.time),
  {", ".join(f"{name} = max({name}, excluded.{name})" for name in FIGURES)}"""  # noqa: S608 - constants
_FIND = f"""
select i.service, i.stage, count(distinct i.id), f.name, e.via, e.peer, e.protocol, max(e.time),
  {", ".join(f"sum(e.{name})" for name in FIGURES)}
from externals e join instances i on i.id = e.instance join functions f on f.id = e.function
where (:service = '' or i.service = :service) and e.time >= :since
group by i.service, i.stage, f.name, e.via, e.peer, e.protocol"""  # noqa: S608 - constants
_NOBODY = "-"
"""Stands in the table of functions for calls that no function of the project made."""


def keep(
    connection: sqlite3.Connection, names: Names, instance: int, points: Iterable[ExternalPoint], now_ns: int
) -> None:
    """Keep what one process reports."""
    for one in points:
        function = names.function(one.function or _NOBODY)
        columns = (instance, function, one.via, one.peer, one.protocol, min(one.time_ns, now_ns), *one[5:])
        connection.execute(_KEEP, dict(zip(_COLUMNS, columns, strict=True)))


def find(connection: sqlite3.Connection, service: str, since_ns: int) -> list[ExternalRow]:
    """Return what was kept of processes that called out at ``since_ns`` or later, summed per service and stage."""
    found = []
    for where, stage, processes, name, *rest in connection.execute(_FIND, {"service": service, "since": since_ns}):
        found.append(ExternalRow(where, stage, processes, ExternalPoint("" if name == _NOBODY else name, *rest)))
    return found
