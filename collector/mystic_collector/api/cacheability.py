"""``/api/analysis/cacheability``: which functions are worth a cache, and what it would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mystic_agent.contract.analysis import ANALYSIS_EVENT, REACH_EVENT
from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.cacheability import NO, UNKNOWN, YES, Question, Touch, report
from mystic_collector.analysis.replay import PROCESS, SHARED
from mystic_collector.analysis.told import stretch, touches
from mystic_collector.analysis.workload import MOST_ACCESSES, Stretch, workload
from mystic_collector.api.hijacks import meant
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, refusal, reply
from mystic_collector.store.log_records import LogQuery, StoredLog

MOST_TTLS = 10
MOST_FUNCTIONS = 1000
MOST_LISTED = 50
LISTED_ACCESSES = 5_000
"""Accesses of each function that the list reads; one function's own answer reads more."""

_PAGE = 1000
_ORDER = {YES: 0, UNKNOWN: 1, NO: 2}


async def candidates(request: Request) -> Response:
    """The functions that were analyzed, those worth a cache first."""
    service, limit = request.query_params.get("service", ""), number(request, "limit", 20, 1, MOST_LISTED)
    parts = parts_of(request)

    def answer() -> list[dict[str, Any]]:
        rows = [
            _answer(parts, where, function, reach, Question(), LISTED_ACCESSES)
            for (where, function), reach in list(_analyzed(parts, service).items())[:MOST_LISTED]
        ]
        rows.sort(key=lambda row: (_ORDER[row["verdict"]], -row["seconds_saved_per_hour"], row["function"]))
        return rows

    rows = await run_in_threadpool(answer)
    return reply({"functions": rows[:limit], "count": len(rows)})


async def one_candidate(request: Request) -> Response:
    """One function in each service that has it; with the ttls that are asked for."""
    question = _question(request)
    text, service = request.path_params["function"], request.query_params.get("service", "")
    parts = parts_of(request)

    def answer() -> list[dict[str, Any]]:
        function = meant(parts, text, "function")
        reached = _analyzed(parts, service, function)
        live = [(one.service, function) for one in parts.fleet.functions(service, function)]
        known = [(one.service, function) for one in parts.store.functions(service, function)]
        every = dict.fromkeys([*reached, *live, *known])
        return [
            _answer(parts, where, name, reached.get((where, name), []), question, MOST_ACCESSES)
            for where, name in every
        ]

    rows = await run_in_threadpool(answer)
    if not rows:
        return refusal(404, f"no function {text[:200]!r} was heard of", "GET /api/functions lists them")
    rows.sort(key=lambda row: -row["calls"])
    return reply({**rows[0], "services": rows})


def _question(request: Request) -> Question:
    params = request.query_params
    ttls = tuple(seconds(text, "ttl") for text in params.getlist("ttl"))
    if len(ttls) > MOST_TTLS:
        raise Invalid("ttl", len(ttls), f"ask for at most {MOST_TTLS} at once")
    scope = params.get("scope") or PROCESS
    if scope not in (PROCESS, SHARED):
        raise Invalid("scope", scope, f"give {PROCESS} or {SHARED}")
    plain = Question(ttls, scope)
    return replace(
        plain,
        max_bytes=number(request, "max_bytes", plain.max_bytes, 1, 2**50),
        max_entries=number(request, "max_entries", plain.max_entries, 1, 10**7),
    )


def _analyzed(parts: Parts, service: str, function: str = "") -> dict[tuple[str, str], list[Touch]]:
    """Return (service, function) → what its code reaches, of those that agents have analyzed, newest first."""
    query = LogQuery(function, service, events=(REACH_EVENT,), limit=_PAGE)
    found: dict[tuple[str, str], list[Touch]] = {}
    for one in parts.store.logs(query).records:
        if len(found) < MOST_FUNCTIONS and one.row.function:
            found.setdefault((one.service, one.row.function), touches(one.row.body))
    return found


def _answer(
    parts: Parts, service: str, function: str, reach: list[Touch], question: Question, most: int
) -> dict[str, Any]:
    seen = workload(_stretches(parts, service, function, most), most)
    [live, *_] = [*parts.fleet.functions(service, function), None]
    told = report(seen, reach, live.kind if live is not None else "", question)
    now = [name for name in (live.strategies if live is not None else ()) if name != "observe"]
    if not seen.calls and told["verdict"] == UNKNOWN:
        told["reasons"] = [_unseen(now, function, any(one.category == "recursion" for one in reach))]
    totals = parts.store.functions(service, function)
    return {
        "function": function,
        "service": service,
        **told,
        "calls_in_all": sum(one.calls + one.untimed for one in totals),
        "seconds_in_all": sum(one.total_ns for one in totals) / 1e9,
        "strategies": now,
    }


def _unseen(strategies: list[str], function: str, recursive: bool) -> str:
    if strategies:
        return f"its calls are not looked at while it has {', '.join(strategies)}; what was seen before is gone"
    if recursive:
        return f"it may call itself, so its calls are looked at only after 'mystic hijack {function} --analyze'"
    return (
        f"its calls were not looked at yet; agents do so by themselves, or after 'mystic hijack {function} --analyze'"
    )


def _stretches(parts: Parts, service: str, function: str, most: int) -> Iterator[Stretch]:
    """Yield the newest stretches of a function, until they hold ``most`` accesses."""
    query, held = LogQuery(function, service, events=(ANALYSIS_EVENT,), limit=_PAGE), 0
    while True:
        page = parts.store.logs(query)
        for record in page.records:
            one = _read(record)
            if one is not None:
                held += len(one.accesses) + 1
                yield one
        if page.next is None or held >= most:
            return
        query = replace(query, before=page.next)


def _read(record: StoredLog) -> Stretch | None:
    return stretch(record.instance, record.row.attributes, record.row.body)
