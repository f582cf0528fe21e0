"""``/api/hijacks`` and ``/api/hijacked``: the set of hijacks, one by one and by function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack
from mystic_agent.contract.report import Report, parse_report
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api.asker import actor, seen
from mystic_collector.discovery.config import ignore_patterns
from mystic_collector.discovery.digest import digests
from mystic_collector.discovery.inspection import find_file
from mystic_collector.discovery.resolve import resolve
from mystic_collector.hijacks.live import LiveFunction
from mystic_collector.hijacks.marked import divided
from mystic_collector.hijacks.policy import ends_soon
from mystic_collector.hijacks.trial import trial
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import flag, read_object, refusal, reply

MOST_STATUS_BYTES = 64 * 1024
"""Of the facts for people in one report."""

_REMEDY = "GET /api/hijacks lists them"


class _Identity(StringConvertor):
    """A hijack's id in a path: none of the words that name something else there, whatever the method."""

    regex = r"(?!(?:diff|history|stale|undo)$)[^/]+"


register_url_convertor("hijack", _Identity())


def shown(parts: Parts, hijack: Hijack) -> dict[str, Any]:
    """Return a hijack with its age, how far it is in force, and whether its lease needs somebody's attention."""
    snapshot, now = parts.registry.snapshot(), parts.clock()
    off = snapshot.is_off(hijack.service)
    progress = parts.fleet.progress(hijack, snapshot.version)
    return {
        **hijack.to_json(),
        "age": max(0.0, now - hijack.created_at),
        "ends_soon": ends_soon(hijack, now),
        "off": off,
        "version": snapshot.version,
        "progress": {**progress, "summary": f"off; {progress['summary']}"} if off else progress,
    }


async def listed(request: Request) -> Response:
    """The whole set with its version."""
    parts = parts_of(request)

    def answer() -> dict[str, Any]:
        snapshot = parts.registry.snapshot()
        rows = [shown(parts, one) for one in snapshot.hijacks]
        unread = [{"id": identity, "reason": reason} for identity, reason in parts.registry.unread]
        return {
            "version": snapshot.version,
            "hijacks": rows,
            "count": len(rows),
            "off": snapshot.off,
            "unread": unread,
        }

    found = await run_in_threadpool(answer)
    return reply(found, headers={"ETag": f'"{found["version"]}"'})


async def add(request: Request) -> Response:
    """Add a hijack, or only say what it would do."""
    dry_run = flag(request, "dry_run")
    return reply(await _put(request, ""), 200 if dry_run else 201)


async def one(request: Request) -> Response:
    """One hijack with its progress."""
    parts, identity = parts_of(request), request.path_params["id"]
    found = next((one for one in parts.registry.snapshot().hijacks if one.id == identity), None)
    if found is None:
        return unknown(identity)
    answer = await run_in_threadpool(shown, parts, found)
    return reply(answer, headers={"ETag": f'"{answer["version"]}"'})


async def replace(request: Request) -> Response:
    """Replace a hijack, or only say what that would do."""
    identity = request.path_params["id"]
    try:
        return reply(await _put(request, identity))
    except KeyError:
        return unknown(identity)


async def remove(request: Request) -> Response:
    """Remove a hijack."""
    identity = request.path_params["id"]
    registry = parts_of(request).registry
    try:
        gone = await run_in_threadpool(registry.remove, identity, actor(request), "remove", seen(request))
    except KeyError:
        return unknown(identity)
    return reply({"removed": gone.to_json(), "version": registry.snapshot().version})


async def hijacked(request: Request) -> Response:
    """Functions with a hijack, living ones by name and targets that nothing runs yet as written."""
    parts = parts_of(request)

    def answer() -> list[dict[str, Any]]:
        live: dict[str, list[LiveFunction]] = {}
        for one in parts.fleet.functions():
            for identity in one.hijacks:
                live.setdefault(identity, []).append(one)
        rows = []
        for hijack in parts.registry.snapshot().hijacks:
            found = live.get(hijack.id, [])
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
    named = {spec.name for specs in hijack.stages.values() for spec in specs}
    return {
        "name": name,
        "hijack": hijack.id,
        "service": live.service if live else hijack.service,
        "strategies": sorted(named),
        "in_force": sorted(named.intersection(live.strategies)) if live else [],  # other stages have others
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
    taken, marks = await run_in_threadpool(lambda: divided(_sound(parse_report(body))))
    if not parts.writer.offer(marks):
        return refusal(503, "the collector is writing as fast as it can", "report again later", {"Retry-After": "1"})
    await run_in_threadpool(parts.fleet.take, taken)
    return reply({"version": parts.registry.snapshot().version})


def _sound(report: Report) -> Report:
    """Return the report when its free part is small enough to be kept for as long as the process lives."""
    size = len(orjson.dumps(report.status, default=str))
    if size > MOST_STATUS_BYTES:
        raise Invalid("status", f"{size} bytes", f"give at most {MOST_STATUS_BYTES} bytes as JSON")
    return report


async def _put(request: Request, identity: str) -> dict[str, Any]:
    """Add or replace; with ``dry_run`` answer with what would come of it, and change nothing.

    Raises:
        KeyError: when there is no hijack ``identity``.
    """
    parts, fields = parts_of(request), await read_object(request)
    who, had_seen, dry_run = actor(request, ""), seen(request), flag(request, "dry_run")

    def put() -> dict[str, Any]:
        asked = {**fields, "target": meant(parts, fields["target"], "target")} if "target" in fields else fields
        hijack = parts.registry.put(asked, identity, who, had_seen, dry_run)
        return tried(parts, hijack) if dry_run else added(parts, hijack)

    return await run_in_threadpool(put)


def added(parts: Parts, hijack: Hijack) -> dict[str, Any]:
    """Return a hijack that was just put, and remember what the source of its functions says now."""
    try:
        parts.registry.note_digests(hijack.id, written(parts, hijack))
    except Invalid:
        pass  # the project cannot be read: nothing is known to compare with
    return shown(parts, hijack)


def written(parts: Parts, hijack: Hijack) -> dict[str, str]:
    """Return the digests of the sources of the functions that a hijack names.

    Raises:
        Invalid: when none is found, or the project's configuration is damaged.
    """
    root = parts.settings.project_root
    if hijack.target.exact:
        name = str(hijack.target)
        return digests([(name, find_file(name, root, ignore_patterns(root), parts.fleet.file_of(name))[0])])
    found = [one for one in parts.catalog.functions() if hijack.target.matches(*one.function.split(":", 1))]
    return digests((one.function, root / one.file) for one in found)


def tried(parts: Parts, hijack: Hijack) -> dict[str, Any]:
    """Return what a hijack would do, as far as it is known."""
    known = [one.function for one in parts.catalog.functions()]
    modules = {name.partition(":")[0] for name in known}
    snapshot = parts.registry.snapshot()
    return {
        "dry_run": True,
        "version": snapshot.version,
        "off": snapshot.is_off(hijack.service),
        "hijack": hijack.to_json(),
        **trial(hijack, parts.fleet.processes(), known, modules),
    }


def meant(parts: Parts, text: object, field: str, further: Iterable[str] = ()) -> str:
    """Return the target a person means, among what runs, what is hijacked and what stands in the project's source.

    Raises:
        Invalid: when it means none or several.
    """
    if isinstance(text, str) and ":" in text:
        return resolve(text, (), (), field)  # needs no look at the project
    running = dict.fromkeys([*(one.function for one in parts.fleet.functions()), *further])
    return resolve(text, running, (one.function for one in parts.catalog.functions()), field)


def unknown(identity: str) -> Response:
    return refusal(404, f"there is no hijack {identity[:100]!r}", _REMEDY)
