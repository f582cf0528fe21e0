"""``/api/analysis/overhead``: what the agent costs now, per function and in all."""

from __future__ import annotations

from typing import Any

import mystic_agent.contract.wire as wire
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.overhead import Cost
from mystic_collector.analysis.overhead import overhead as analysed
from mystic_collector.api.status import Facts
from mystic_collector.api.status import overhead as measured
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, reply
from mystic_collector.store.figures import WIDTH


async def overhead(request: Request) -> Response:
    """What the agent cost over the last seconds, estimated by function, beside what the agents measure themselves."""
    service = request.query_params.get("service", "")
    seconds, limit = number(request, "seconds", 60, WIDTH, 3600), number(request, "limit", 100, 1, 100_000)
    parts = parts_of(request)

    def answer() -> dict[str, Any]:
        now = parts.clock()
        since = (now - seconds) // WIDTH * WIDTH
        facts = parts.store.facts()
        live = parts.fleet.functions(service)
        found = analysed(
            parts.store.recent(since, service),
            now - since,
            _costs(parts, facts),
            {(one.service, one.function): one.strategies for one in live},
        )
        rows = found.pop("functions")
        return {"functions": rows[:limit], "count": len(rows), **found, "measured": measured(parts, facts)}

    return reply(await run_in_threadpool(answer))


def _costs(parts: Parts, facts: Facts) -> dict[str, Cost]:
    """Return per service what a call costs, the mean over its living processes."""
    told: dict[str, list[Cost]] = {}
    for process in parts.fleet.processes():
        known = facts.get((process.service, process.instance), {})
        pair = [known.get((wire.COST, kind)) for kind in ("observe", "count")]
        if pair[0] is not None and pair[1] is not None:
            told.setdefault(process.service, []).append(Cost(pair[0], pair[1]))
    return {
        service: Cost(sum(one.observe for one in costs) / len(costs), sum(one.count for one in costs) / len(costs))
        for service, costs in told.items()
    }
