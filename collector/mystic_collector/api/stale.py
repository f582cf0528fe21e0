"""``GET /api/hijacks/stale``: what should be removed or renewed, and why."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.outcome import BYPASS, COMPUTED, SPARED
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api.hijacks import written
from mystic_collector.hijacks.stale import UNUSED_AFTER, Use, stale
from mystic_collector.hijacks.uses import Used, merged
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import reply
from mystic_collector.store.records import FunctionTotals

_MISSED = {*COMPUTED, BYPASS}


async def listed(request: Request) -> Response:
    """The stale hijacks, oldest first."""
    text = request.query_params.get("unused", "")
    unused = seconds(text, "unused") if text else UNUSED_AFTER
    rows = await run_in_threadpool(find, parts_of(request), unused)
    return reply({"stale": rows, "count": len(rows)})


def find(parts: Parts, unused_after: float = UNUSED_AFTER) -> list[dict[str, Any]]:
    """Return the stale hijacks with their reasons."""
    snapshot, rows = parts.registry.snapshot(), []
    used = known(parts) if snapshot.hijacks else []
    if parts.membership is not None and snapshot.hijacks:
        used += parts.membership.uses()
    for hijack in snapshot.hijacks:
        progress = parts.fleet.progress(hijack, snapshot.version)
        mine = merged(one for service, one in used if _meant(hijack, service, one.function))
        then = parts.registry.digests(hijack.id)
        reasons = stale(
            hijack, parts.clock(), progress, mine, then, _today(parts, hijack) if then else {}, unused_after
        )
        if reasons:
            told = [one.to_json() for one in reasons]
            rows.append({"hijack": hijack.id, "target": str(hijack.target), "owner": hijack.owner, "reasons": told})
    return rows


def known(parts: Parts) -> list[Used]:
    """Return how the functions that some hijack means are used, as far as this collector's store knows."""
    hijacks = parts.registry.snapshot().hijacks
    if not hijacks:
        return []
    return [
        (one.service, _use(one))
        for one in parts.store.functions()
        if any(_meant(hijack, one.service, one.function) for hijack in hijacks)
    ]


def _meant(hijack: Hijack, service: str, function: str) -> bool:
    module, _, qualname = function.partition(":")
    return hijack.applies_to(service) and hijack.target.matches(module, qualname)


def _today(parts: Parts, hijack: Hijack) -> dict[str, str]:
    try:
        return written(parts, hijack)
    except Invalid:
        return {}  # nothing is known of its source now


def _use(totals: FunctionTotals) -> Use:
    counts = [(decision, count) for (strategy, decision, _), count in totals.decisions.items() if strategy == "cache"]
    hits, misses = (sum(count for decision, count in counts if decision in meant) for meant in (SPARED, _MISSED))
    return Use(totals.function, totals.last_ns / 1e9 if totals.last_ns else None, hits, misses)
