"""``/api/metrics``: what functions cost."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.errors import Invalid
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.hotspots import SORTS, brief, figures, histogram, summary, timeline
from mystic_collector.api.status import overhead
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import flag, number, refusal, reply
from mystic_collector.store.records import FunctionTotals

MOST_ROWS = 100_000


async def metrics(request: Request) -> Response:
    """Every function's figures, filtered and sorted; the summary is over all that pass the filter."""
    params = request.query_params
    sort = params.get("sort") or "total_time"
    if sort not in SORTS:
        raise Invalid("sort", sort, f"give one of {', '.join(SORTS)}")
    limit = number(request, "limit", MOST_ROWS, 1, MOST_ROWS)
    offset = number(request, "offset", 0, 0, 10**9)
    query, service = params.get("q", "").lower(), params.get("service", "")
    histograms, shown = flag(request, "histograms"), brief if flag(request, "brief") else figures
    parts = parts_of(request)

    def answer() -> dict[str, Any]:
        found = [one for one in collect(parts, service) if query in one.function.lower()]
        found.sort(key=lambda one: (SORTS[sort](one), one.function))
        return {
            "functions": [
                {**shown(one), "histogram": histogram([one])} if histograms else shown(one)
                for one in found[offset : offset + limit]
            ],
            "total": len(found),
            "summary": summary(found),
            "overhead": overhead(parts, parts.store.facts()),
        }

    return reply(await run_in_threadpool(answer))


def collect(parts: Parts, service: str = "") -> list[FunctionTotals]:
    """Return the totals of every function that was called, and of every living one that was not yet."""
    found = parts.store.functions(service)
    seen = {(one.service, one.function) for one in found}
    found += [
        FunctionTotals(live.service, live.function)
        for live in parts.fleet.functions(service)
        if (live.service, live.function) not in seen and live.working
    ]
    return found


async def one_metric(request: Request) -> Response:
    """One function's figures in each service that has it, with its history."""
    function, service = request.path_params["function"], request.query_params.get("service", "")
    seconds = number(request, "since", 3600, 1, 10**8)
    parts = parts_of(request)

    def answer() -> dict[str, Any] | None:
        totals = parts.store.functions(service, function)
        rows = [figures(one) for one in totals]
        live = parts.fleet.functions(service, function)
        seen = {row["service"] for row in rows}
        rows += [figures(FunctionTotals(one.service, function)) for one in live if one.service not in seen]
        if not rows:
            return None
        best = max(rows, key=lambda row: row["call_count"])
        past = parts.store.history(function, service, parts.clock() - seconds)
        return {
            **best,
            "services": rows,
            "history": timeline(past),
            "histogram": histogram(totals),
            "processes_now": [{"service": one.service, "states": one.states, "summary": one.summary} for one in live],
        }

    found = await run_in_threadpool(answer)
    if found is None:
        return refusal(404, f"no function {function[:200]!r} was heard of", "GET /api/functions lists them")
    return reply(found)


async def points(request: Request) -> Response:
    """The newest points of metrics that are not ours, from any OpenTelemetry SDK."""
    metric, service = request.query_params.get("metric", ""), request.query_params.get("service", "")
    limit = number(request, "limit", 100, 1, 10_000)
    found = await run_in_threadpool(parts_of(request).store.points, metric, service, limit)
    return reply({"points": found, "count": len(found)})
