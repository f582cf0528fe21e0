"""``/api/hijacks`` and ``/api/hijacked``: the set of hijacks, one by one and by function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.report import Report, parse_report
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.discovery.resolve import resolve
from mystic_collector.hijacks.live import LiveFunction
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, read_object, refusal, reply

MOST_STATUS_BYTES = 64 * 1024
"""Of the facts for people in one report."""

_REMEDY = "GET /api/hijacks lists them"


def shown(parts: Parts, hijack: Hijack) -> dict[str, Any]:
    """Return a hijack with its age and how far it is in force."""
    snapshot = parts.registry.snapshot()
    return {
        **hijack.to_json(),
        "age": max(0.0, parts.clock() - hijack.created_at),
        "version": snapshot.version,
        "progress": parts.fleet.progress(hijack, snapshot.version),
    }


async def listed(request: Request) -> Response:
    """The whole set with its version."""
    parts = parts_of(request)

    def answer() -> dict[str, Any]:
        snapshot = parts.registry.snapshot()
        rows = [shown(parts, one) for one in snapshot.hijacks]
        return {"version": snapshot.version, "hijacks": rows, "count": len(rows)}

    return reply(await run_in_threadpool(answer))


async def add(request: Request) -> Response:
    """Add a hijack."""
    return reply(await run_in_threadpool(_put, parts_of(request), await read_object(request), ""), 201)


async def one(request: Request) -> Response:
    """One hijack with its progress."""
    parts, identity = parts_of(request), request.path_params["id"]
    found = next((one for one in parts.registry.snapshot().hijacks if one.id == identity), None)
    if found is None:
        return _unknown(identity)
    return reply(await run_in_threadpool(shown, parts, found))


async def replace(request: Request) -> Response:
    """Replace a hijack."""
    identity = request.path_params["id"]
    try:
        return reply(await run_in_threadpool(_put, parts_of(request), await read_object(request), identity))
    except KeyError:
        return _unknown(identity)


async def remove(request: Request) -> Response:
    """Remove a hijack."""
    identity = request.path_params["id"]
    registry = parts_of(request).registry
    try:
        gone = await run_in_threadpool(registry.remove, identity, "api")
    except KeyError:
        return _unknown(identity)
    return reply({"removed": gone.to_json(), "version": registry.snapshot().version})


async def audit(request: Request) -> Response:
    """The newest changes of the set."""
    rows = await run_in_threadpool(parts_of(request).registry.audit, number(request, "limit", 100, 1, 10_000))
    return reply({"audit": rows, "count": len(rows)})


async def hijacked(request: Request) -> Response:
    """Functions with a hijack, living ones by name and targets that nothing runs yet as written."""
    parts = parts_of(request)

    def answer() -> list[dict[str, Any]]:
        live = parts.fleet.functions()
        rows = []
        for hijack in parts.registry.snapshot().hijacks:
            found = [one for one in live if hijack.id in one.hijacks]
            rows += [_about(hijack, one.function, one) for one in found]
            if not found:
                rows.append(_about(hijack, str(hijack.target)))
        return rows

    rows = await run_in_threadpool(answer)
    return reply({"hijacked_functions": rows, "count": len(rows)})


async def one_hijacked(request: Request) -> Response:
    """The hijacks that mean one function, and how far each is in force."""
    parts, given = parts_of(request), request.path_params["function"]

    def answer() -> dict[str, Any]:
        hijacks = parts.registry.snapshot().hijacks
        function = meant(parts, given, "function", [str(one.target) for one in hijacks])
        module, _, qualname = function.partition(":")
        live = parts.fleet.functions(function=function)
        rows = []
        for hijack in hijacks:
            found = [one for one in live if hijack.id in one.hijacks]
            rows += [_about(hijack, function, one) for one in found]
            if not found and (str(hijack.target) == function or hijack.target.matches(module, qualname)):
                rows.append(_about(hijack, function))
        return {"name": function, "hijacks": rows, "count": len(rows)}

    found = await run_in_threadpool(answer)
    if not found["count"]:
        return refusal(404, f"{given[:200]!r} is not hijacked", "GET /api/hijacked lists what is")
    return reply(found)


def _about(hijack: Hijack, name: str, live: LiveFunction | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "hijack": hijack.id,
        "service": live.service if live else hijack.service,
        "strategies": sorted({spec.name for specs in hijack.stages.values() for spec in specs}),
        "owner": hijack.owner,
        "reason": hijack.reason,
        "created_at": hijack.created_at,
        "expires_at": hijack.expires_at,
        "states": live.states if live else {},
    }


async def report(request: Request) -> Response:
    """Take an agent's report."""
    parts = parts_of(request)
    body = await read_object(request, parts.settings.max_inflated_bytes)
    await run_in_threadpool(lambda: parts.fleet.take(_sound(parse_report(body))))
    return reply({"version": parts.registry.snapshot().version})


def _sound(report: Report) -> Report:
    """Return the report when its free part is small enough to be kept for as long as the process lives."""
    size = len(orjson.dumps(report.status, default=str))
    if size > MOST_STATUS_BYTES:
        raise Invalid("status", f"{size} bytes", f"give at most {MOST_STATUS_BYTES} bytes as JSON")
    return report


def _put(parts: Parts, fields: dict[str, Any], identity: str) -> dict[str, Any]:
    if "target" in fields:
        fields = {**fields, "target": meant(parts, fields["target"], "target")}
    return shown(parts, parts.registry.put(fields, identity))


def meant(parts: Parts, text: object, field: str, further: Iterable[str] = ()) -> str:
    """Return the target a person means, among what runs, what is hijacked and what stands in the project's source.

    Raises:
        Invalid: when it means none or several.
    """
    if isinstance(text, str) and ":" in text:
        return resolve(text, (), (), field)  # needs no look at the project
    running = dict.fromkeys([*(one.function for one in parts.fleet.functions()), *further])
    return resolve(text, running, (one.function for one in parts.catalog.functions()), field)


def _unknown(identity: str) -> Response:
    return refusal(404, f"there is no hijack {identity[:100]!r}", _REMEDY)
