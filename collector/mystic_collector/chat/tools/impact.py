"""What changes have brought, measured."""

from __future__ import annotations

from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Paged, answer
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.page import fitting, following, more, start
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.parameters import Cursor, Service
from mystic_collector.units import duration


class Impact(BaseModel):
    """What one hijack has changed."""

    id: str
    target: str
    owner: str
    reason: str
    released_at: float | None = Field(default=None, description="Unix seconds; null while it is in force")
    versions: list[dict[str, Any]] = Field(
        description="per wording: functions with before, after (times in seconds) and change, and the sum over them"
    )
    lost: int = 0


class Impacts(Paged):
    """What hijacks have changed, newest first."""

    impacts: list[Impact]


async def get_hijack_impact(
    ctx: Asked,
    hijack: Annotated[str, Field(description="id of one hijack, in force or released; empty for all")] = "",
    function: Annotated[str, Field(description="only hijacks of this function, by any of its names")] = "",
    service: Service = "",
    cursor: Cursor = "",
) -> Annotated[CallToolResult, Impacts]:
    """Compare latency, errors and cache hits before and after a hijack: exact figures, and whether there are enough
    calls to tell.

    Use it for "did the cache help?": {"function": "process_ocr"}, or {"hijack": "767265dfb017"}
    """
    collector, first = chat_of(ctx).collector, start(cursor)
    if hijack:
        found = [await collector.get(f"/api/hijacks/{hijack.strip()}/impact")]
    else:
        named = await function_meant(collector, function) if function else ""
        where = await service_meant(collector, service)
        found = (await collector.get("/api/analysis/impact", function=named, service=where))["impacts"]
    rows, lines = fitting((Impact.model_validate(one) for one in found[first:]), _shown)
    upto = following(first, len(rows), len(found))
    head = [] if rows else ["No hijack has been measured yet."]
    return answer([*head, *lines, *more(upto)], Impacts(impacts=rows, total=len(found), cursor=upto))


def _shown(one: Impact) -> str:
    state = "released" if one.released_at else "in force"
    lines = [f"- hijack {one.id} on {one.target} ({state}, by {one.owner or 'nobody'})"]
    for version in one.versions:
        lines.append(f"  {', '.join(map(str, version.get('strategies', ())))} (version {version.get('version')}):")
        lines += [f"    {_function(row)}" for row in version.get("functions", ())[:20]]
    return "\n".join(lines)


def _function(row: dict[str, Any]) -> str:
    before, after, change = (row.get(part) or {} for part in ("before", "after", "change"))
    sides = f"{_side(before)} before, {_side(after)} after"
    return f"{row.get('function')} of {row.get('service')}: {sides}{_verdict(change)}"


def _verdict(change: dict[str, Any]) -> str:
    time, errors = change.get("time") or {}, change.get("errors") or {}
    told = [f"{name}: {one['verdict']}" for name, one in (("time", time), ("errors", errors)) if one.get("verdict")]
    why = f" ({time['why']})" if time.get("why") else ""
    saved = change.get("saved_time")
    return f"; {', '.join(told)}{why}" + (f"; saved {duration(saved)}" if saved and saved > 0 else "")


def _side(side: dict[str, Any]) -> str:
    if not side.get("call_count"):
        return "no calls"
    hits = f", {side['hits']} cache hits" if side.get("hits") else ""
    return (
        f"{side['call_count']} calls, average {duration(side.get('avg_time') or 0.0)}, "
        f"p95 {duration(side.get('p95') or 0.0)}, {side.get('exceptions', 0)} errors{hits}"
    )
