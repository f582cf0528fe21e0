"""``/api/live``: tells a page when there is something new to ask for, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import refusal

LOOK = 0.25
"""Seconds between two looks; a look compares a few numbers."""

KEEP_ALIVE = 10.0
MOST_PAGES = 200

_open: set[object] = set()


async def live(request: Request) -> Response:
    """What has changed, whenever something has."""
    if len(_open) >= MOST_PAGES:
        return refusal(503, "too many open pages", "close some", {"Retry-After": "5"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(parts_of(request)), media_type="text/event-stream", headers=headers)


async def _events(parts: Parts) -> AsyncIterator[bytes]:
    me = object()
    _open.add(me)
    told: dict[str, Any] = {}
    silent = 0.0
    try:
        while not parts.streams.closed:
            now = _now(parts)
            if now != told or silent >= KEEP_ALIVE:
                yield b"event: changed\ndata: %s\n\n" % orjson.dumps(now) if now != told else b": still here\n\n"
                told, silent = now, 0.0
            await asyncio.sleep(LOOK)
            silent += LOOK
    finally:
        _open.discard(me)


def _now(parts: Parts) -> dict[str, Any]:
    """Return numbers that grow: of changes of the hijacks, of reports taken in, of telemetry written."""
    return {
        "version": parts.registry.snapshot().version,
        "reports": parts.fleet.taken,
        "streams": parts.streams.count,
        "written": parts.writer.counts().written,
    }
