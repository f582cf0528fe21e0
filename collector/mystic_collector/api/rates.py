"""``/api/analysis/rates``: calls, errors and cache hits of all functions together, over time."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.rates import rates as analysed
from mystic_collector.parts import parts_of
from mystic_collector.reply import number, reply
from mystic_collector.store.figures import WIDTH

LONGEST = 6 * 3600


async def rates(request: Request) -> Response:
    """What happened per interval, oldest first; intervals without calls are there, too."""
    service = request.query_params.get("service", "")
    seconds = number(request, "since", 900, WIDTH, LONGEST)
    parts = parts_of(request)
    now = parts.clock()
    found = await run_in_threadpool(parts.store.rates, now - seconds, service)
    return reply({"rates": analysed(found, now - seconds, now), "seconds": WIDTH})
