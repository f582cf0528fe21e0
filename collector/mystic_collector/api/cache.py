"""``/api/cache/{function}/{key}``: one shared entry, as JSON."""

from __future__ import annotations

from typing import Any

import orjson
from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.parts import parts_of
from mystic_collector.reply import read_object, refusal, reply

LONGEST_NAME = 1000


async def one_entry(request: Request) -> Response:
    """Return what is kept under a function and a key."""
    function, key = _names(request)
    entry = await run_in_threadpool(parts_of(request).cache.get, function, key)
    if entry is None:
        return _unknown(function, key)
    return reply({"function": function, "key": key, "value": orjson.loads(entry.value), "expires_at": entry.expires_at})


async def put_entry(request: Request) -> Response:
    """Keep a value under a function and a key."""
    function, key = _names(request)
    body = await read_object(request)
    for name in body:
        if name not in ("value", "ttl"):
            raise Invalid(name, body[name], "unknown field; known are value, ttl")
    if "value" not in body:
        raise Invalid("value", None, 'give what to keep, e.g. {"value": 4.5, "ttl": "30m"}')
    ttl = None if body.get("ttl") is None else seconds(body["ttl"], "ttl")
    value: Any = orjson.dumps(body["value"])
    try:
        await run_in_threadpool(parts_of(request).cache.put, function, key, value, ttl)
    except ValueError as error:
        return refusal(413, str(error), "keep less, or raise MYSTIC_CACHE_BYTES")
    return reply({"function": function, "key": key, "stored": len(value), "ttl": ttl})


async def delete_entry(request: Request) -> Response:
    """Forget what is kept under a function and a key."""
    function, key = _names(request)
    if not await run_in_threadpool(parts_of(request).cache.delete, function, key):
        return _unknown(function, key)
    return reply({"function": function, "key": key, "removed": True})


def _names(request: Request) -> tuple[str, str]:
    function, key = request.path_params["function"], request.path_params["key"]
    for name, text in (("function", function), ("key", key)):
        if not 0 < len(text) <= LONGEST_NAME or not text.isprintable():
            raise Invalid(name, text, f"give printable text of 1 to {LONGEST_NAME} characters")
    return function, key


def _unknown(function: str, key: str) -> Response:
    return refusal(404, f"nothing is kept for {function!r} under {key!r}", "PUT it first, or it has expired")
