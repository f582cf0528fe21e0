"""``/api/hijacks/{id}/impact`` and ``/api/analysis/impact``: what hijacks have changed, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.impact import Wording, impact
from mystic_collector.hijacks.journal import NO_CHANGE
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, refusal, reply
from mystic_collector.store.life_records import LifeQuery

MOST_LINES = 10_000
"""Lines of the audit that are looked through for hijacks."""


async def one_impact(request: Request) -> Response:
    """What one hijack has changed, in force or released."""
    parts, identity = parts_of(request), request.path_params["id"]

    def answer() -> dict[str, Any] | None:
        lines = parts.registry.audit(MOST_LINES, hijack=identity)
        wordings = _wordings(lines)
        return _impact(parts, lines[0], wordings, LifeQuery(hijack=identity)) if wordings else None

    found = await run_in_threadpool(answer)
    if found is None:
        return refusal(404, f"no hijack {identity[:100]!r} is known", "GET /api/audit lists those there were")
    return reply(found)


async def impacts(request: Request) -> Response:
    """What each hijack has changed, newest first, also those released."""
    params, limit = request.query_params, number(request, "limit", 50, 1, 1000)
    function, service = params.get("function", ""), params.get("service", "")
    parts = parts_of(request)

    def answer() -> list[dict[str, Any]]:
        grouped: dict[str, list[Mapping[str, Any]]] = {}
        for line in parts.registry.audit(MOST_LINES):
            grouped.setdefault(line["hijack"], []).append(line)
        rows: list[dict[str, Any]] = []
        for identity, lines in grouped.items():
            if len(rows) < limit and (wordings := _wordings(lines)):
                row = _impact(parts, lines[0], wordings, LifeQuery(function, service, identity))
                if not (function or service) or any(version["functions"] for version in row["versions"]):
                    rows.append(row)
        return rows

    rows = await run_in_threadpool(answer)
    return reply({"impacts": rows, "count": len(rows)})


def _impact(parts: Parts, newest: Mapping[str, Any], wordings: Sequence[Wording], query: LifeQuery) -> dict[str, Any]:
    body = wordings[-1].body
    return {
        "id": query.hijack,
        "target": body.get("target", ""),
        "service": body.get("service", "*"),
        "owner": body.get("owner", ""),
        "reason": body.get("reason", ""),
        "created_at": body.get("created_at"),
        "released_at": newest["at"] if newest["after"] is None else None,
        **impact(query.hijack, wordings, parts.store.lives(query)),
    }


def _wordings(lines: Sequence[Mapping[str, Any]]) -> list[Wording]:
    """Return what a hijack said from which version on, oldest first; refused attempts are no wording."""
    changes = [one for one in reversed(lines) if one["after"] is not None and one["action"] not in NO_CHANGE]
    found: list[Wording] = []
    for one in changes:
        if not found or found[-1].body.get("stages") != one["after"].get("stages"):
            found.append(Wording(one["version"], one["after"]))
    return found
