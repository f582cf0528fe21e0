"""What functions cost."""

from __future__ import annotations

from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Paged, answer
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.page import ASKED, fitting, following, more, start
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.parameters import Cursor, Service, Sort
from mystic_collector.units import duration

_MOST_HISTORY = 60


class Figures(BaseModel):
    """One function's figures; times in seconds."""

    name: str
    service: str
    call_count: int
    exceptions: int
    avg_time: float
    min_time: float
    max_time: float
    p50: float
    p95: float
    p99: float
    total_time: float
    last_called: float | None = Field(default=None, description="Unix seconds")
    decisions: list[dict[str, Any]] = Field(default=[], description="what hijacks did, e.g. cache hit 40")


class Metrics(Paged):
    """Figures of functions, in the order asked for."""

    functions: list[Figures]
    summary: dict[str, Any] = Field(default={}, description="over all functions of the answer's filter")
    overhead: dict[str, Any] = Field(default={}, description="what observing costs, as a share of one core")
    history: list[dict[str, Any]] = Field(default=[], description="of a single function: figures per interval")


async def get_function_metrics(
    ctx: Asked,
    function: Annotated[str, Field(description="one function, by any of its names; empty for all")] = "",
    service: Service = "",
    sort: Sort = "avg_time",
    limit: Annotated[int, Field(description="rows on a page", ge=1, le=ASKED)] = 20,
    cursor: Cursor = "",
) -> Annotated[CallToolResult, Metrics]:
    """Show how often functions are called, how long they take and how often they fail; exact, not sampled.

    Use it for "Show me the slowest functions in the OCR service": {"service": "OCR", "sort": "avg_time"}; or for one
    function with its recent history: {"function": "process_ocr"}. Times are in seconds.
    """
    collector, first = chat_of(ctx).collector, start(cursor)
    where = await service_meant(collector, service)
    if function:
        return await _one(ctx, await function_meant(collector, function), where)
    found = await collector.get("/api/metrics", service=where, sort=sort, limit=limit, offset=first)
    rows, lines = fitting((Figures.model_validate(one) for one in found["functions"]), figures_line)
    upto = following(first, len(rows), found["total"])
    content = Metrics(
        functions=rows, summary=found["summary"], overhead=found["overhead"], total=found["total"], cursor=upto
    )
    summary = found["summary"]
    head = (
        f"{summary['called_functions']} of {summary['total_functions']} functions were called "
        f"{summary['total_calls']} times, {summary['total_exceptions']} errors"
        + (f", in service {where}" if where else "")
        + f"; by {sort}:"
    )
    return answer([head, *lines, *more(upto)], content)


async def _one(ctx: Asked, name: str, service: str) -> CallToolResult:
    found = await chat_of(ctx).collector.get(f"/api/metrics/{name}", service=service)
    rows = [Figures.model_validate(one) for one in found["services"]]
    history = found["history"][-_MOST_HISTORY:]
    past = [
        f"  {one['call_count']} calls, {one['exceptions']} errors, {one['cache_hits']} cache hits, "
        f"average {duration(one['avg_time'])} in the {one['seconds']} s from {one['at']}"
        for one in history[-10:]
    ]
    extents = [f"- {one['service']}: {one['summary']}" for one in found["processes_now"]]
    lines = [*map(figures_line, rows), *extents, *(["recently:", *past] if past else [])]
    return answer(lines, Metrics(functions=rows, history=history, total=len(rows)))


def figures_line(one: Figures) -> str:
    """Return one function's figures for people."""
    decided = ", ".join(f"{row['strategy']} {row['decision']} {row['count']}" for row in one.decisions[:6])
    return (
        f"- {one.name} ({one.service}): average {duration(one.avg_time)}, p95 {duration(one.p95)}, "
        f"max {duration(one.max_time)}, {one.call_count} calls, {one.exceptions} errors, "
        f"total {duration(one.total_time)}" + (f"; {decided}" if decided else "")
    )
