"""``/agent/v1/cache/…``: the shared entries of agents, signed by them and opaque to us; byte strings in frames.

They lie beside the entries of ``/api/cache``, under names that no request there can give.
"""

from __future__ import annotations

import math
import struct

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.frames import pack, unpack
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.cache.entries import Kept
from mystic_collector.ingest.body import inflate, read_body
from mystic_collector.otlp.refused import RefusedError
from mystic_collector.parts import parts_of

MOST_QUESTIONS = 256
MOST_ENTRIES = 256
MOST_REPLY_BYTES = 4 * 2**20
LONGEST_KEY = 1000
LONGEST_TTL = 3650 * 86400.0
PATIENCE = 5.0
_APART = "\x01"
_TTL = struct.Struct(">d")
_MEDIA = "application/octet-stream"


async def find(request: Request) -> Response:
    """Take pairs of function and key, and answer each with its entry; an empty one stands for none."""
    asked = await _parts(request, 2 * MOST_QUESTIONS)
    names = [_name(part) for part in asked]
    if len(names) % 2:
        raise Invalid("body", f"{len(names)} parts", "give pairs of function and key")
    pairs = [(_APART + function, key) for function, key in zip(names[::2], names[1::2], strict=True)]
    found = await run_in_threadpool(parts_of(request).cache.find, pairs, MOST_REPLY_BYTES)
    return Response(pack(found), media_type=_MEDIA)


async def keep(request: Request) -> Response:
    """Take function, key, ttl (seconds, eight bytes of IEEE 754 in network order) and value, over and over."""
    given = await _parts(request, 4 * MOST_ENTRIES)
    if len(given) % 4:
        raise Invalid("body", f"{len(given)} parts", "give function, key, ttl and value of each entry")
    entries = [
        Kept(_APART + _name(given[i]), _name(given[i + 1]), given[i + 3], _ttl(given[i + 2]))
        for i in range(0, len(given), 4)
    ]
    await run_in_threadpool(parts_of(request).cache.keep, entries)
    return Response(status_code=204)


async def _parts(request: Request, most: int) -> list[bytes]:
    """Return the parts of a body of at most ``most`` parts; its size is bounded as sent and as decompressed."""
    limits = parts_of(request).settings
    encoding = request.headers.get("content-encoding", "").strip().lower()
    try:
        body = await read_body(request, limits.max_body_bytes, PATIENCE)
        if encoding:  # a thread costs as much as everything else that a plain question takes here
            body = await run_in_threadpool(inflate, body, encoding, limits.max_body_bytes)
        return unpack(body, most)
    except RefusedError as error:
        raise HTTPException(error.status, error.message, {"Connection": "close"}) from error
    except Invalid as error:
        raise HTTPException(400, str(error)) from error


def _name(part: bytes) -> str:
    try:
        text = part.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = ""
    if not 0 < len(text) <= LONGEST_KEY or "\x00" in text or not text.isprintable():
        raise Invalid("name", part[:80], f"give printable text of 1 to {LONGEST_KEY} characters")
    return text


def _ttl(part: bytes) -> float:
    (seconds,) = _TTL.unpack(part) if len(part) == _TTL.size else (math.nan,)
    if not 0 < seconds <= LONGEST_TTL:
        raise Invalid("ttl", part[:80], "give positive seconds as eight bytes")
    return float(seconds)
