"""What functions did: totals over all processes, and growth over time.

A row of growth says that a figure of one process went from ``before`` to ``after``. Where two collectors knew
different things of one process, their rows overlap: of each only what lies above the row before counts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from mystic_collector.store.clickhouse.connection import Connection
from mystic_collector.store.clickhouse.known import FRESH, dense
from mystic_collector.store.figures import WIDTH
from mystic_collector.store.records import UNTIMED, FunctionTotals, Interval, Recent
from mystic_collector.store.retention import WIDE, YOUNG

_LOOK_BACK = 2 * FRESH
"""Seconds before what is asked for in which an overlapping row may lie: no collector's knowledge is older than half."""

_FILTER = """({service:String} = '' or service = {service:String})
  and ({function:String} = '' or function = {function:String})"""
_DURATIONS = f"""
select service, function, sum(most), sum(latest.1), min(latest.2), max(latest.3), sum(latest.4),
  sumMap(latest.5, latest.6), uniqExact(instance), max(latest.7)
from (
  select service, function, instance, start, max(calls) as most,
    argMax(tuple(total, low, high, zero, slots, counts, time), calls) as latest
  from durations where {_FILTER} group by service, function, instance, start)
group by service, function"""  # noqa: S608 - constants
_COUNTS = f"""
select service, function, strategy, decision, reason, sum(most), max(latest)
from (
  select service, function, instance, start, strategy, decision, reason, max(value) as most,
    argMax(time, value) as latest
  from counts where {_FILTER} group by service, function, instance, start, strategy, decision, reason)
group by service, function, strategy, decision, reason"""  # noqa: S608 - constants
_GROWTH = f"""(
select service, function, kind, if(at < {{young:Int64}}, {{wide:Int64}}, {{width:Int64}}) as wideness,
  at - at % wideness as bucket, grown, grown / span as share, grown = span as whole,
  if(whole, total, toInt64(total * share)) as lasted, if(whole, zero, toInt64(zero * share)) as zeroes, slots,
  if(whole, counts, arrayMap(count -> toInt64(count * share), counts)) as filled
from (
  select service, function, kind, at, total, zero, slots, counts, after - before as span,
    greatest(0, after - greatest(before, lagInFrame(after) over (
      partition by service, function, instance, start, kind, strategy, decision, reason
      order by after, at, before rows between unbounded preceding and current row))) as grown
  from growth where at >= {{from:Int64}} and {_FILTER})
where grown > 0)"""  # noqa: S608 - constants
_SUMS = """sumIf(grown, kind = 'calls'), sumIf(grown, kind = 'untimed'), sumIf(grown, kind = 'errors'),
  sumIf(grown, kind = 'hits'), sum(lasted), sum(zeroes)"""
_HISTORY = f"""
select bucket, max(wideness), {_SUMS}, sumMap(slots, filled) from {_GROWTH}
where bucket + wideness > {{since:Float64}} group by bucket order by bucket"""  # noqa: S608 - constants
_RATES = f"""
select bucket, wideness, {_SUMS} from {_GROWTH}
where bucket + wideness > {{since:Float64}} group by bucket, wideness order by bucket"""  # noqa: S608 - constants
_RECENT = f"""
select service, function, sumIf(grown, kind = 'calls'), sumIf(grown, kind = 'untimed'), sumIf(grown, kind = 'hits')
from {_GROWTH} where bucket >= {{since:Float64}} group by service, function"""  # noqa: S608 - constants


def functions(connection: Connection, service: str, function: str) -> list[FunctionTotals]:
    """Return totals per service and function."""
    wanted = {"service": service, "function": function}
    decisions: dict[tuple[str, str], dict[tuple[str, str, str], int]] = defaultdict(dict)
    spared: dict[tuple[str, str], _Counted] = defaultdict(_Counted)
    for where, name, strategy, decision, reason, value, time in connection.rows(_COUNTS, **wanted):
        counted = spared[where, name]
        counted.last_ns = max(counted.last_ns, time)
        if strategy:
            decisions[where, name][strategy, decision, reason] = value
        else:
            counted.add(decision, value)
    found = []
    for where, name, calls, total, low, high, zero, filled, instances, time in connection.rows(_DURATIONS, **wanted):
        counted = spared.pop((where, name), _Counted())
        found.append(
            FunctionTotals(
                service=where,
                function=name,
                calls=calls,
                untimed=counted.untimed,
                errors=counted.errors,
                total_ns=total,
                min_ns=low,
                max_ns=high,
                zero=zero,
                buckets=dense(*filled),
                decisions=decisions.pop((where, name), {}),
                instances=instances,
                last_ns=max(time, counted.last_ns),
            )
        )
    for (where, name), counted in spared.items():
        taken = decisions.get((where, name), {})
        found.append(
            FunctionTotals(
                where, name, untimed=counted.untimed, errors=counted.errors, decisions=taken, last_ns=counted.last_ns
            )
        )
    return found


class _Counted:
    """Of one function, what is counted beside its durations."""

    def __init__(self) -> None:
        self.untimed = self.errors = self.last_ns = 0

    def add(self, decision: str, value: int) -> None:
        if decision == UNTIMED:
            self.untimed += value
        else:
            self.errors += value


def history(connection: Connection, function: str, service: str, since: float, now: float) -> list[Interval]:
    """Return intervals with calls, oldest first."""
    rows = connection.rows(_HISTORY, **_asked(since, now, service, function))
    return [Interval._make((*row[:8], dense(*row[8]))) for row in rows]


def recent(connection: Connection, since: float, service: str, now: float) -> list[Recent]:
    """Return calls per service and function in the intervals from ``since`` (Unix seconds) on."""
    return [Recent._make(row) for row in connection.rows(_RECENT, **_asked(since, now, service))]


def rates(connection: Connection, since: float, service: str, now: float) -> list[Interval]:
    """Return intervals with calls, all functions together and without their durations' distribution."""
    return [Interval._make((*row, (0, ()))) for row in connection.rows(_RATES, **_asked(since, now, service))]


def _asked(since: float, now: float, service: str, function: str = "") -> dict[str, Any]:
    young = (int(now) - YOUNG) // WIDE * WIDE
    return {
        "service": service,
        "function": function,
        "since": since,
        "from": int(since - (WIDTH if since >= young + WIDE else WIDE) - _LOOK_BACK),
        "young": young,
        "wide": WIDE,
        "width": WIDTH,
    }
