"""History, undo, leases and the switch: what surrounds a change of the set of hijacks."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import read_text
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api.asker import actor, seen
from mystic_collector.api.hijacks import added, unknown
from mystic_collector.hijacks import versions
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.journal import REFUSED, SWITCHING
from mystic_collector.hijacks.versions import Step
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import flag, number, read_object, reply

_LATEST = 2**62


async def history(request: Request) -> Response:
    """Versions of the set, newest first; those of one hijack with ``hijack``."""
    parts, params = parts_of(request), request.query_params
    limit = number(request, "limit", 50, 1, 1000)
    before = number(request, "before", _LATEST, 1, _LATEST)

    def answer() -> dict[str, Any]:
        snapshot, oldest = parts.registry.snapshot(), parts.registry.oldest()
        rows = parts.registry.changes(before, limit + 1, params.get("hijack", ""))
        found = [_version(entries) for entries in rows]
        more = found[limit - 1]["version"] if len(found) > limit else None
        found = found[:limit]
        return {"version": snapshot.version, "oldest": oldest, "history": found, "count": len(found), "next": more}

    return reply(await run_in_threadpool(answer))


def _version(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one version from the lines of the audit that led to it."""
    first = entries[0]
    switching = first["action"] in SWITCHING
    changes = [] if switching else [Step(one["hijack"], one["before"], one["after"]) for one in entries]
    return {
        "version": first["version"],
        "at": first["at"],
        "actor": first["actor"],
        "action": first["action"],
        "note": first["note"],
        "services": [one["hijack"] for one in entries] if switching else [],
        "changes": [versions.described(one) for one in changes],
        "text": versions.text(changes),
    }


async def diff(request: Request) -> Response:
    """What differs between two versions, for programs and for people."""
    registry = parts_of(request).registry
    latest = registry.snapshot().version
    to = number(request, "to", latest, 0, _LATEST)
    before = number(request, "from", max(to - 1, 0), 0, _LATEST)
    changes = await run_in_threadpool(lambda: versions.steps(registry.at(before, "from"), registry.at(to, "to")))
    described = [versions.described(one) for one in changes]
    return reply({"from": before, "to": to, "changes": described, "text": versions.text(changes)})


async def undo(request: Request) -> Response:
    """Bring an earlier version back, or only say what that would change."""
    body, parts, dry_run = await read_object(request), parts_of(request), flag(request, "dry_run")
    to = body.get("to")
    if to is not None and (isinstance(to, bool) or not isinstance(to, int)):
        raise Invalid("to", to, "give a version, a whole number")
    who, had_seen = actor(request), seen(request)
    back, changes, left_out = await run_in_threadpool(parts.registry.undo, to, who, had_seen, dry_run)
    return reply(
        {
            "to": back,
            "version": parts.registry.snapshot().version,
            "changes": [versions.described(one) for one in changes],
            "text": versions.text(changes),
            "left_out": left_out,
            "dry_run": dry_run,
        }
    )


async def renew(request: Request) -> Response:
    """Let the lease of a hijack begin anew."""
    identity, parts, body = request.path_params["id"], parts_of(request), await read_object(request)
    who, had_seen = actor(request), seen(request)

    def put() -> dict[str, Any]:
        return added(parts, parts.registry.renew(identity, body.get("expires_in"), who, had_seen))

    try:
        return reply(await run_in_threadpool(put))
    except KeyError:
        return unknown(identity)


async def audit(request: Request) -> Response:
    """Changes and refused attempts, newest first; ``next`` is the ``before`` of the following page."""
    parts, params = parts_of(request), request.query_params
    limit, before = number(request, "limit", 100, 1, 10_000), number(request, "before", 0, 0, _LATEST)
    wanted = {name: params.get(name, "") for name in ("hijack", "actor", "action")}
    if flag(request, "refused"):
        wanted["action"] = REFUSED
    rows = await run_in_threadpool(lambda: parts.registry.audit(limit + 1, before, **wanted))
    more, rows = len(rows) > limit, rows[:limit]
    return reply({"audit": rows, "count": len(rows), "next": rows[-1]["id"] if more else None})


async def off(request: Request) -> Response:
    """Release everything in every process, or in those of one service, until it is switched on."""
    return await _switch(request, True)


async def on(request: Request) -> Response:
    """End that."""
    return await _switch(request, False)


async def _switch(request: Request, off: bool) -> Response:
    body, parts = await read_object(request), parts_of(request)
    for name in body:
        if name not in ("service", "reason"):
            raise Invalid("body", name, "unknown field; known are service, reason")
    service = read_text(body.get("service", "*"), "service", 100) or "*"
    reason = read_text(body.get("reason", ""), "reason")
    changed = await run_in_threadpool(parts.registry.switch, off, service, actor(request), reason)
    return reply({**switched(parts), "changed": changed})


def switched(parts: Parts) -> dict[str, Any]:
    """Return which services are off, with when, by whom and why."""
    snapshot = parts.registry.snapshot()
    return {"off": snapshot.off, "version": snapshot.version}


async def conflict(request: Request, error: Exception) -> Response:
    """Answer 409 with the current version, and the hijack as it is now."""
    if not isinstance(error, Conflict):
        raise HTTPException(409, str(error))
    remedy = "look at what is current, and decide again"
    told = {"message": str(error), "remedy": remedy}
    return reply(
        {"error": told, "version": error.version, "current": error.current}, 409, {"ETag": f'"{error.version}"'}
    )
