"""Single calls in full."""

from __future__ import annotations

from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Answer, answer
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.page import cursor_after, fitting, more, shortened
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.parameters import OfFunction, OlderCursor, Service, Since
from mystic_collector.units import duration

MOST_ROWS = 20
_MOST_VALUE = 2_500


class Snapshot(BaseModel):
    """One call. Values are JSON, redacted inside the service, and shortened."""

    id: int
    time: float = Field(description="Unix seconds")
    function: str
    service: str
    outcome: str | None = None
    duration: float | None = Field(default=None, description="seconds")
    trace_id: str | None = None
    number: int | None = Field(default=None, description="the how-manieth of its hijack in its process")
    arguments: str = ""
    result: str = ""
    exception: str = Field(default="", description="with the local variables of its frames")
    caller: str = ""


class Snapshots(Answer):
    """Calls, newest first."""

    snapshots: list[Snapshot]
    cursor: str | None = Field(default=None, description="give it to the same tool for older ones; null at the end")


async def get_state_snapshots(
    ctx: Asked,
    function: OfFunction = "",
    service: Service = "",
    since: Since = "",
    cursor: OlderCursor = "",
) -> Annotated[CallToolResult, Snapshots]:
    """Look into single calls without a debugger: arguments, result or exception with local variables, caller, timing.

    Calls are caught once hijack_function has put the strategy snapshot on, also only those that meet a condition:
    {"function": "process_ocr", "strategy": "snapshot", "options": {"when": "duration > 0.5", "count": 5}}.
    Use it to read them then: {"function": "process_ocr"}
    """
    collector = chat_of(ctx).collector
    asked: dict[str, Any] = {
        "function": await function_meant(collector, function) if function else "",
        "service": await service_meant(collector, service),
        "since": since,
        "cursor": cursor,
        "limit": MOST_ROWS,
    }
    found = await collector.post("/api/state/snapshots", {key: value for key, value in asked.items() if value})
    rows, lines = fitting(map(_snapshot, found["snapshots"]), _shown)
    following = cursor_after(found["snapshots"], len(rows), found["next"])
    hint = "No such snapshot is kept; hijack_function with strategy snapshot takes some."
    head = f"{len(rows)} snapshots, newest first:" if rows else hint
    return answer([head, *lines, *more(following)], Snapshots(snapshots=rows, cursor=following))


def _snapshot(found: dict[str, Any]) -> Snapshot:
    told = {name: found.get(name) for name in ("arguments", "result", "exception", "caller")}
    values = {name: "" if value is None else shortened(value, _MOST_VALUE) for name, value in told.items()}
    return Snapshot.model_validate({**found, **values})


def _shown(one: Snapshot) -> str:
    took = f" in {duration(one.duration)}" if one.duration is not None else ""
    ended = f"raised {one.exception}" if one.exception else f"returned {one.result}"
    caller = f"\n  called from {one.caller}" if one.caller else ""
    return f"- {one.time:.3f} {one.function} ({one.service}) with {one.arguments} {ended}{took}{caller}"
