"""``POST /api/logs``: log records of the application, of our log strategy and of any OpenTelemetry SDK."""

from __future__ import annotations

from typing import Any

import orjson
from mystic_agent.contract.analysis import ANALYSIS_EVENT, REACH_EVENT
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.wire import SNAPSHOT_EVENT
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api import page
from mystic_collector.api.captured import captured
from mystic_collector.api.hijacks import meant
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import read_object, reply
from mystic_collector.store.log_records import LEVELS, LogQuery, StoredLog

FIELDS = ("function", "service", "level", "event", "trace_id", "text", "since", "limit", "cursor", "after")

_ELSEWHERE = (SNAPSHOT_EVENT, ANALYSIS_EVENT, REACH_EVENT)
"""Events that are pages long, and have routes of their own."""


async def logs(request: Request) -> Response:
    """One page of log records, newest first; with ``after`` those that came since, in the order they came."""
    body = await read_object(request)
    return reply(await run_in_threadpool(_answer, parts_of(request), body))


def _answer(parts: Parts, body: dict[str, Any]) -> dict[str, Any]:
    known(body, FIELDS)
    level, trace = page.text(body, "level").lower(), page.text(body, "trace_id")
    if level and level not in LEVELS:
        raise Invalid("level", level, f"give one of {', '.join(LEVELS)}")
    event = page.text(body, "event")
    found = parts.store.logs(
        LogQuery(
            function=function_of(parts, body),
            service=page.text(body, "service"),
            events=(event,) if event else (),
            without=() if event else _ELSEWHERE,
            severity=LEVELS.get(level, 0),
            since_ns=page.since(body, parts.clock()),
            text=page.text(body, "text"),
            trace_id=_trace(trace),
            before=page.cursor(body),
            after=page.whole(body, "after", 0, 0, 2**63 - 1) if "after" in body else None,
            limit=page.whole(body, "limit", 100, 1, page.MOST),
        )
    )
    rows = [_shown(one) for one in found.records]
    return {"logs": rows, "count": len(rows), "next": page.written(found.next), "newest": found.newest}


def known(body: dict[str, Any], fields: tuple[str, ...]) -> None:
    """Refuse a field that would be ignored.

    Raises:
        Invalid: naming it.
    """
    for name in body:
        if name not in fields:
            raise Invalid(name, body[name], f"unknown field; known are {', '.join(fields)}")


def function_of(parts: Parts, body: dict[str, Any]) -> str:
    """Return the function that the field ``function`` means, empty when it is absent.

    Raises:
        Invalid: when it means none or several.
    """
    given = page.text(body, "function")
    return meant(parts, given, "function") if given else ""


def origin(stored: StoredLog) -> dict[str, Any]:
    """Return what every record says of itself: when and where it comes from."""
    row = stored.row
    return {
        "id": stored.id,
        "time": row.time_ns / 1e9,
        "time_ns": row.time_ns,
        "function": row.function,
        "service": stored.service,
        "instance": stored.instance,
        "trace_id": row.trace_id.hex() or None,
        "span_id": row.span_id.hex() or None,
    }


def _shown(stored: StoredLog) -> dict[str, Any]:
    row = stored.row
    return captured(
        {
            **origin(stored),
            "level": _level(row.severity),
            "severity": row.severity,
            "event": row.event,
            "message": row.body,
            "attributes": orjson.loads(row.attributes),
        }
    )


def _level(severity: int) -> str:
    return next((name for name, number in reversed(LEVELS.items()) if severity >= number), "")


def _trace(text: str) -> bytes:
    if not text:
        return b""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise Invalid("trace_id", text, "give a trace id as 32 hexadecimal digits")
    return found
