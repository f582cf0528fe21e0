"""``/api/traces``: sampled calls as trees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.flame import flame
from mystic_collector.analysis.relations import relations as related
from mystic_collector.api.hijacks import meant
from mystic_collector.parts import parts_of
from mystic_collector.reply import flag, number, refusal, reply, seconds
from mystic_collector.store.records import LARGEST, SpanQuery, StoredSpan
from mystic_collector.tracing.tracing import SERVICE

_ERROR = 2
_STATUS = {0: "unset", 1: "ok", 2: "error"}


async def traces(request: Request) -> Response:
    """The newest traces with a matching span."""
    query = _wanted(request, number(request, "limit", 50, 1, 500))
    found = await run_in_threadpool(parts_of(request).store.traces, query)
    return reply({"traces": [_summary(spans) for spans in found], "count": len(found)})


async def one_trace(request: Request) -> Response:
    """One trace with all its spans."""
    text = request.path_params["id"]
    if len(text) != 32 or not all(char in "0123456789abcdefABCDEF" for char in text):
        raise Invalid("id", text, "give a trace id as 32 hexadecimal digits")
    spans = await run_in_threadpool(parts_of(request).store.trace, bytes.fromhex(text))
    if not spans:
        return refusal(404, f"no trace {text!r} is kept", "GET /api/traces lists the newest")
    return reply({**_summary(spans), "spans": [_span(one) for one in spans]})


async def flame_graph(request: Request) -> Response:
    """Where the time of the newest matching traces goes, as one tree of callers."""
    query = _wanted(request, number(request, "limit", 50, 1, 200))
    store = parts_of(request).store
    return reply(await run_in_threadpool(lambda: flame(store.traces(query), query.function)))


async def relations(request: Request) -> Response:
    """Who calls a function and whom it calls, from the newest sampled traces."""
    params, parts = request.query_params, parts_of(request)
    name = params.get("function", "")
    query = SpanQuery(
        service=params.get("service", ""),
        limit=number(request, "limit", 100, 1, 200),
        besides=_besides(request),
        brief=True,
    )

    def answer() -> dict[str, Any]:
        function = meant(parts, name, "function")
        found = parts.store.traces(replace(query, function=function))
        return {**related(found, function), "traces": len(found)}

    return reply(await run_in_threadpool(answer))


def _wanted(request: Request, limit: int) -> SpanQuery:
    """Return which traces a request is for; lists and sums of them need no attributes."""
    params = request.query_params
    since, until = _period(request)
    return SpanQuery(
        function=params.get("function", ""),
        service=params.get("service", ""),
        besides=_besides(request),
        errors=flag(request, "errors"),
        min_duration_ns=int(seconds(request, "min_duration") * 1e9),
        since_ns=since,
        until_ns=until,
        limit=limit,
        brief=True,
    )


def _besides(request: Request) -> str:
    """Return whose work is left out: the collector's own, unless it is asked for."""
    return "" if request.query_params.get("service") else SERVICE


def _period(request: Request) -> tuple[int, int]:
    """Return between which moments, in Unix nanoseconds, a span must have begun."""
    since, until = (int(seconds(request, name) * 1e9) for name in ("since", "until"))
    return since, until or LARGEST


def _summary(spans: list[StoredSpan]) -> dict[str, Any]:
    ids = {one.span.span_id for one in spans}
    root = next((one for one in spans if one.span.parent_id not in ids), spans[0])
    start = min(one.span.start_ns for one in spans)
    return {
        "trace_id": root.span.trace_id.hex(),
        "name": root.span.name,
        "function": root.span.function,
        "service": root.service,
        "start": start / 1e9,
        "duration": (max(one.span.end_ns for one in spans) - start) / 1e9,
        "span_count": len(spans),
        "errors": sum(one.span.status == _ERROR for one in spans),
    }


def _span(stored: StoredSpan) -> dict[str, Any]:
    span = stored.span
    return {
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_id.hex() or None,
        "service": stored.service,
        "instance": stored.instance,
        "name": span.name,
        "function": span.function,
        "kind": span.kind,
        "start": span.start_ns / 1e9,
        "start_ns": span.start_ns,
        "duration": (span.end_ns - span.start_ns) / 1e9,
        "status": _STATUS.get(span.status, str(span.status)),
        "error": span.error,
        "attributes": orjson.loads(span.attributes),
        "events": orjson.loads(span.events) if span.events else [],
    }
