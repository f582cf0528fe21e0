"""What else was heard: facts, points of other metrics, lives of functions, what lies outside; and how full it is."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson
from mystic_agent.contract.mark import Mark

from mystic_collector.store.clickhouse.connection import Connection
from mystic_collector.store.clickhouse.known import dense
from mystic_collector.store.clickhouse.writing import NOBODY
from mystic_collector.store.external_records import FIGURES, ExternalPoint, ExternalRow
from mystic_collector.store.life_records import Life, LifeQuery, Tally
from mystic_collector.store.marks import marks_in
from mystic_collector.store.records import OVERFLOW, UNTIMED, Sizes

MOST_MARKS = 1000
"""Of one function in one process; the oldest are left out."""

_ALIVE = "(service, instance) not in (select service, instance from folded)"
_FACTS = f"""
select service, instance, metric, kind, argMax(value, time) from facts where {_ALIVE}
group by service, instance, metric, kind"""  # noqa: S608 - constants
_POINTS = """
select service, instance, time, metric, shape, unit, attributes, value, detail from points
where ({metric:String} = '' or metric = {metric:String}) and ({service:String} = '' or service = {service:String})
order by id desc limit {limit:UInt32}"""
_EXTERNALS = f"""
select service, stage, uniqExact(instance), function, via, peer, protocol, max(last),
  {", ".join(f"sum(most_{name})" for name in FIGURES)}
from (
  select service, stage, instance, function, via, peer, protocol, max(time) as last,
    {", ".join(f"max({name}) as most_{name}" for name in FIGURES)}
  from externals where ({{service:String}} = '' or service = {{service:String}}) and {_ALIVE}
  group by service, stage, instance, function, via, peer, protocol)
where last >= {{since:Int64}}
group by service, stage, function, via, peer, protocol"""  # noqa: S608 - constants
_CONCERNED = f"""
function in (select function from marks where {{hijack:String}} = '' or has(hijacks, {{hijack:String}}))
  and ({{function:String}} = '' or function = {{function:String}})
  and ({{service:String}} = '' or service = {{service:String}}) and {_ALIVE}"""  # noqa: S608 - constants
_DURATIONS = f"""
select function, service, instance, sum(latest.1), sum(latest.2), sumMap(latest.3, latest.4), max(latest.5)
from (
  select function, service, instance, start, argMax(tuple(total, zero, slots, counts, time), calls) as latest
  from durations where {_CONCERNED} group by function, service, instance, start)
group by function, service, instance"""  # noqa: S608 - constants
_COUNTS = f"""
select function, service, instance, strategy, decision, sum(most), max(latest)
from (
  select function, service, instance, start, strategy, decision, reason, max(value) as most,
    argMax(time, value) as latest
  from counts where {_CONCERNED} group by function, service, instance, start, strategy, decision, reason)
group by function, service, instance, strategy, decision"""  # noqa: S608 - constants
_MARKS = f"""
select function, service, instance, any(body) from marks where {_CONCERNED}
group by function, service, instance, number order by number desc
limit {MOST_MARKS} by function, service, instance"""  # noqa: S608 - constants
_STAGES = "select service, instance, argMax(stage, seen) from processes group by service, instance"
_SIZES = f"""
select (select sum(count) from segments), (select count() from points),
  (select uniqExact(name) from names where kind = 'function'),
  (select count() from names where kind = 'function' and name = '{OVERFLOW}'),
  (select sum(bytes_on_disk) from system.parts where active and database = currentDatabase()),
  (select count() from logs)"""  # noqa: S608 - constants


def facts(connection: Connection) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
    """Return the latest facts per process."""
    found: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for service, instance, metric, kind, value in connection.rows(_FACTS):
        found[service, instance][metric, kind] = value
    return dict(found)


def points(connection: Connection, metric: str, service: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest points of other metrics."""
    names = ("service", "instance", "time_ns", "metric", "shape", "unit", "attributes", "value", "detail")
    rows = connection.rows(_POINTS, metric=metric, service=service, limit=limit)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    for one in found:
        one["attributes"], one["detail"] = orjson.loads(one["attributes"]), orjson.loads(one["detail"])
    return found


def externals(connection: Connection, service: str, since_ns: int) -> list[ExternalRow]:
    """Return what processes that called out at ``since_ns`` or later did, summed per service and stage."""
    found = []
    for where, stage, processes, name, *rest in connection.rows(_EXTERNALS, service=service, since=since_ns):
        found.append(ExternalRow(where, stage, processes, ExternalPoint("" if name == NOBODY else name, *rest)))
    return found


def lives(connection: Connection, query: LifeQuery) -> list[Life]:
    """Return the lives of functions that some hijack was ever in force on."""
    wanted = {"function": query.function, "service": query.service, "hijack": query.hijack}
    made: dict[tuple[str, str, str], _Made] = defaultdict(_Made)
    for function, service, instance, total, zero, filled, last in connection.rows(_DURATIONS, **wanted):
        one = made[function, service, instance]
        one.total, one.zero, one.filled, one.last = total, zero, filled, last
    for function, service, instance, strategy, decision, value, last in connection.rows(_COUNTS, **wanted):
        made[function, service, instance].count(strategy, decision, value, last)
    for function, service, instance, body in reversed(connection.rows(_MARKS, **wanted)):
        made[function, service, instance].marks += marks_in(body)
    stages = {(service, instance): stage for service, instance, stage in connection.rows(_STAGES)} if made else {}
    return [
        Life(service, instance, stages.get((service, instance), ""), function, one.tally(), one.marks, one.last)
        for (function, service, instance), one in sorted(made.items(), key=lambda pair: pair[0])
    ]


class _Made:
    """One life while its parts are read."""

    def __init__(self) -> None:
        self.total = self.zero = self.errors = self.untimed = self.last = 0
        self.filled: tuple[list[int], list[int]] = ([], [])
        self.decisions: dict[str, int] = defaultdict(int)
        self.marks: list[Mark] = []

    def count(self, strategy: str, decision: str, value: int, last: int) -> None:
        self.last = max(self.last, last)
        if strategy:
            self.decisions[f"{strategy}/{decision}"] += value
        elif decision == UNTIMED:
            self.untimed += value
        else:
            self.errors += value

    def tally(self) -> Tally:
        return Tally(self.zero, dense(*self.filled), self.untimed, self.errors, self.total, dict(self.decisions))


def sizes(connection: Connection) -> Sizes:
    """Return how full the database is, whoever wrote into it; bytes are those on the engine's disk."""
    [[spans, kept, functions, overflowing, size, logs]] = connection.rows(_SIZES)
    return Sizes(spans or 0, kept, functions, bool(overflowing), size or 0, logs)
