"""``/api/recordings``: what was recorded; and ``/agent/v1/recordings/…``, where agents bring and load it."""

from __future__ import annotations

from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.recording import Recorded, parse_recorded, parse_recording
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.parts import parts_of
from mystic_collector.reply import number, read_object, refusal, reply

MOST_ENTRIES = 256
MOST_BODY = 4 * 2**20


async def recordings(request: Request) -> Response:
    """Every recording."""
    rows = await run_in_threadpool(parts_of(request).recordings.listed)
    return reply({"recordings": rows, "count": len(rows)})


async def one_recording(request: Request) -> Response:
    """One recording: a page of its outcomes, which are captured data."""
    name = request.path_params["name"]
    limit, after = number(request, "limit", 100, 1, 1000), number(request, "after", 0, 0, 2**62)
    function = request.query_params.get("function", "")
    page = await run_in_threadpool(parts_of(request).recordings.page, name, function, after, limit)
    if not page.outcomes and not after:
        return _unknown(name)
    rows = [_shown(one) for one in page.outcomes]
    return reply({"name": name, "captured": True, "outcomes": rows, "count": len(rows), "next": page.next})


async def delete_recording(request: Request) -> Response:
    """Forget one recording."""
    name = request.path_params["name"]
    gone = await run_in_threadpool(parts_of(request).recordings.delete, name)
    return reply({"name": name, "removed": gone}) if gone else _unknown(name)


async def keep(request: Request) -> Response:
    """Take outcomes from an agent."""
    most = min(MOST_BODY, parts_of(request).settings.max_body_bytes)
    listed = (await read_object(request, most)).get("entries")
    if not isinstance(listed, list) or len(listed) > MOST_ENTRIES:
        raise Invalid("entries", type(listed).__name__, f"give a list of at most {MOST_ENTRIES} outcomes")

    def take() -> dict[str, int]:
        batch = []
        for i, one in enumerate(listed):
            outcome = parse_recorded(one, f"entries[{i}]")
            batch.append((parse_recording(one.get("recording"), f"entries[{i}].recording"), outcome))
        return parts_of(request).recordings.keep(batch)._asdict()

    return reply(await run_in_threadpool(take))


async def load(request: Request) -> Response:
    """Give an agent what is recorded of one function, page by page."""
    body = await read_object(request)
    recording = parse_recording(body.get("recording"), "recording")
    function, after = body.get("function"), body.get("after", 0)
    if not isinstance(function, str) or ":" not in function:
        raise Invalid("function", function, "give 'module:qualname'")
    if isinstance(after, bool) or not isinstance(after, int) or not 0 <= after < 2**62:
        raise Invalid("after", after, "give the number that the page before ended with")
    page = await run_in_threadpool(parts_of(request).recordings.page, recording, function, after)
    return reply({"entries": [one.to_json() for one in page.outcomes], "next": page.next})


def _shown(one: Recorded) -> dict[str, Any]:
    shown: dict[str, Any] = {"function": one.function, "key": one.key, "call": one.call, "at": one.at}
    if one.error:
        return {**shown, "raised": one.error, "message": one.message}
    return {**shown, "returned": orjson.loads(one.value)}


def _unknown(name: str) -> Response:
    return refusal(404, f"there is no recording {name[:100]!r}", "GET /api/recordings lists them")
