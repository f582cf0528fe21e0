"""Sampled traces: which there are, and one as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import anyio.to_thread
from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Paged, answer
from mystic_collector.chat.captured import line
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.page import fitting, following, more, shortened, start
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.parameters import Cursor, Service
from mystic_collector.units import duration

_MOST_ATTRIBUTES = 600
_MOST_TRACES = 500
"""That the collector answers with at a time."""


class Trace(BaseModel):
    """One trace."""

    trace_id: str = Field(description="give it to search_traces for a picture and all its calls")
    name: str
    service: str
    start: float = Field(description="Unix seconds")
    duration: float = Field(description="seconds")
    span_count: int
    errors: int


class Span(BaseModel):
    """One call of a trace."""

    name: str
    depth: int
    after: float = Field(description="seconds after the trace began")
    duration: float = Field(description="seconds")
    status: str
    error: str = ""
    attributes: str = Field(default="", description="what was captured with the call, as JSON; shortened")


class Traces(Paged):
    """Traces, or one with its calls."""

    traces: list[Trace]
    spans: list[Span] = Field(default=[], description="of the one trace asked for; the longest when there are many")


async def search_traces(
    ctx: Asked,
    trace_id: Annotated[str, Field(description="one trace, as a picture with its calls; empty to search")] = "",
    function: Annotated[str, Field(description="only traces in which it was called, by any of its names")] = "",
    service: Service = "",
    errors: Annotated[bool, Field(description="only calls that failed")] = False,
    min_duration: Annotated[float, Field(description="only calls of at least so many seconds", ge=0, le=1e9)] = 0.0,
    limit: Annotated[int, Field(description="traces at most, the newest", ge=1, le=200)] = 20,
    cursor: Cursor = "",
) -> Annotated[CallToolResult, Traces]:
    """Find sampled requests, slow or failed ones, or show one as a waterfall picture with all its calls and errors.

    Use it for "why was this request slow?" or "show me the last errors": {"errors": true}; {"min_duration": 0.5};
    then {"trace_id": "…"} for one. Errors, the slow and the first of each kind are always sampled.
    """
    if trace_id:
        return await _one(ctx, trace_id)
    collector, first = chat_of(ctx).collector, start(cursor)
    found = await collector.get(
        "/api/traces",
        function=await function_meant(collector, function) if function else "",
        service=await service_meant(collector, service),
        errors="true" if errors else "",
        min_duration=f"{min_duration:f}" if min_duration else "",
        limit=min(first + limit + 1, _MOST_TRACES),
    )
    asked = found["traces"][first : first + limit]
    rows, lines = fitting((Trace.model_validate(one) for one in asked), _trace)
    upto = following(first, len(rows), found["count"])
    head = f"{len(rows)} traces, the newest first:" if rows else "No such trace is kept."
    return answer([head, *lines, *more(upto)], Traces(traces=rows, total=found["count"], cursor=upto))


def _trace(one: Trace) -> str:
    failed = f", {one.errors} failed" if one.errors else ""
    return (
        f"- {one.trace_id}: {line(one.name)} of {one.service}, {duration(one.duration)}, {one.span_count} calls{failed}"
    )


async def _one(ctx: Asked, trace_id: str) -> CallToolResult:
    from mystic_collector.chat.pictures.waterfall import ordered, waterfall

    found = await chat_of(ctx).collector.get(f"/api/traces/{trace_id.strip()}")
    first = min(one["start_ns"] for one in found["spans"])
    calls = [
        Span(
            name=one["name"],
            depth=depth,
            after=(one["start_ns"] - first) * 1e-9,
            duration=one["duration"],
            status=one["status"],
            error=line(one["error"], 500),
            attributes=_attributes(one),
        )
        for depth, one in ordered(found["spans"])
    ]
    trace = Trace.model_validate(found)
    kept, lines = fitting(calls, _span)
    left = [f"… and {len(calls) - len(kept)} more calls; all are in mystic://trace/{trace.trace_id}"] * (
        len(kept) < len(calls)
    )
    picture = await anyio.to_thread.run_sync(waterfall, found)
    return answer([_trace(trace), *lines, *left], Traces(traces=[trace], spans=kept, total=1), [picture])


def _attributes(one: Mapping[str, Any]) -> str:
    told = {key: value for key, value in one["attributes"].items() if key not in ("mystic.function", "code.function")}
    return shortened(told, _MOST_ATTRIBUTES) if told else ""


def _span(one: Span) -> str:
    failed = f" FAILED: {one.error}" if one.status == "error" else ""
    return f"{'  ' * min(one.depth, 12)}- {line(one.name)} {duration(one.duration)} at +{duration(one.after)}{failed}"
