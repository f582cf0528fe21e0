"""What was logged of calls."""

from __future__ import annotations

from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import BaseModel, Field

from mystic_collector.chat.answer import Answer, answer
from mystic_collector.chat.captured import line
from mystic_collector.chat.names import function_meant, service_meant
from mystic_collector.chat.page import cursor_after, fitting, more, shortened
from mystic_collector.chat.session import Asked, chat_of
from mystic_collector.chat.tools.parameters import OfFunction, OlderCursor, Service, Since

MOST_ROWS = 100
_LEVELS = ("debug", "info", "warning", "error")


class Log(BaseModel):
    """One record."""

    id: int
    time: float = Field(description="Unix seconds")
    level: str
    function: str
    service: str
    trace_id: str | None = None
    event: str = ""
    message: str
    attributes: str = Field(default="", description="JSON; shortened")


class Logs(Answer):
    """Records, newest first."""

    logs: list[Log]
    cursor: str | None = Field(default=None, description="give it to the same tool for older ones; null at the end")


async def get_function_logs(
    ctx: Asked,
    function: OfFunction = "",
    service: Service = "",
    level: Annotated[
        str, Field(description="at least this level; empty for any", json_schema_extra={"enum": ["", *_LEVELS]})
    ] = "",
    text: Annotated[str, Field(description="only records that contain this")] = "",
    since: Since = "",
    cursor: OlderCursor = "",
) -> Annotated[CallToolResult, Logs]:
    """Read what calls logged, newest first: calls with arguments and results (secrets redacted inside the service)
    once hijack_function has put the strategy log on, and events such as changed circuits.

    Use it for "what did process_ocr log in the last ten minutes?": {"function": "process_ocr", "since": "10m"}
    """
    collector = chat_of(ctx).collector
    asked: dict[str, Any] = {
        "function": await function_meant(collector, function) if function else "",
        "service": await service_meant(collector, service),
        "level": level,
        "text": text,
        "since": since,
        "cursor": cursor,
        "limit": MOST_ROWS,
    }
    found = await collector.post("/api/logs", {key: value for key, value in asked.items() if value})
    rows, lines = fitting(map(_log, found["logs"]), _shown)
    following = cursor_after(found["logs"], len(rows), found["next"])
    head = f"{len(rows)} records, newest first:" if rows else "No such record is kept."
    return answer([head, *lines, *more(following)], Logs(logs=rows, cursor=following))


def _log(found: dict[str, Any]) -> Log:
    told = found["attributes"]
    return Log.model_validate(
        {
            **found,
            "message": line(found["message"], 4_000),
            "attributes": shortened(told, 1_500) if told else "",
        }
    )


def _shown(one: Log) -> str:
    where = one.function or one.service
    event = f" {one.event}" if one.event else ""
    return f"- {one.time:.3f} {one.level or 'unset'}{event} {where}: {one.message or one.attributes}"
