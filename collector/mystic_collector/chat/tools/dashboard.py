"""Figures as a picture."""

from __future__ import annotations

from typing import Annotated, Any

import anyio.to_thread
from mcp_types import CallToolResult
from pydantic import Field

from mystic_collector.chat.answer import Answer, answer
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.figures import Figures, figures_line
from mystic_collector.chat.tools.parameters import Service, Sort

_MOST_POINTS = 120
_DEEPEST = 8
_MOST_CHILDREN = 12


class Dashboard(Answer):
    """What the picture shows; the app draws it again from this."""

    title: str
    at: float = Field(description="Unix seconds")
    functions: list[Figures]
    summary: dict[str, Any] = Field(default={}, description="over all functions")
    histogram: list[dict[str, float]] = Field(default=[], description="of one function: above, up_to (seconds), count")
    history: list[dict[str, float]] = Field(default=[], description="of one function: figures per interval")
    flame: dict[str, Any] = Field(default={}, description="where the time goes: name, total (seconds), children")


async def create_performance_dashboard(
    ctx: Asked,
    function: Annotated[str, Field(description="one function, by any of its names; empty for an overview")] = "",
    service: Service = "",
    sort: Sort = "avg_time",
) -> Annotated[CallToolResult, Dashboard]:
    """Draw a performance dashboard as a picture: the slowest functions, and a flame graph of where the time goes; or
    of one function how long its calls take (a histogram), its recent history, and a flame graph.

    Use it when somebody wants to see performance. Example: {"service": "OCR"}, or {"function": "process_ocr"}
    """
    from mystic_collector.chat.pictures import dashboard

    chat = chat_of(ctx)
    collector, now = chat.collector, chat.clock()
    where = await service_meant(collector, service)
    if function:
        name = await function_meant(collector, function)
        found = await collector.get(f"/api/metrics/{name}", service=where)
        calls = await collector.get("/api/analysis/flame", function=name, service=where)
        picture = await anyio.to_thread.run_sync(dashboard.of_function, found, calls, now)
        rows = [Figures.model_validate(one) for one in found["services"]]
        past = [{key: float(value) for key, value in one.items()} for one in found["history"][-_MOST_POINTS:]]
        content = Dashboard(
            title=name, at=now, functions=rows, histogram=found["histogram"], history=past, flame=_pruned(calls)
        )
        return answer(["The picture shows:", *map(figures_line, rows)], content, [picture])
    title = where or "all services"
    found = await collector.get("/api/metrics", service=where, sort=sort, limit=dashboard.MOST_BARS)
    calls = await collector.get("/api/analysis/flame", service=where)
    picture = await anyio.to_thread.run_sync(dashboard.overview, title, found, calls, now)
    rows = [Figures.model_validate(one) for one in found["functions"] if one["call_count"]]
    content = Dashboard(title=title, at=now, functions=rows, summary=found["summary"], flame=_pruned(calls))
    return answer([f"The picture shows {title}, by {sort}:", *map(figures_line, rows)], content, [picture])


def _pruned(node: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return a tree of calls small enough for an answer: what takes less than a hundredth of its caller is left out."""
    shown = [one for one in node["children"][:_MOST_CHILDREN] if one["total"] * 100 >= node["total"]]
    children = [_pruned(one, depth + 1) for one in shown] if depth < _DEEPEST else []
    return {"name": node["name"], "total": node["total"], "children": children}
