"""``/api/discovered`` and ``/api/resolve``: what functions there are, running or only written; which one is meant."""

from __future__ import annotations

import difflib
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.target import parse_target
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api.hijacks import meant
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, reply

_MOST_SHOWN = 8


async def discovered(request: Request) -> Response:
    """Every function that runs or stands in the project's source, by name."""
    query, service = request.query_params.get("q", "").lower(), request.query_params.get("service", "")
    limit, offset = number(request, "limit", 1000, 1, 100_000), number(request, "offset", 0, 0, 10**9)
    parts = parts_of(request)

    def answer() -> dict[str, Any]:
        rows = [row for row in _rows(parts, service) if query in row["function"].lower()]
        unread = [{"file": one.file, "reason": one.reason} for one in parts.catalog.unread()]
        return {
            "project_root": str(parts.settings.project_root),
            "functions": rows[offset : offset + limit],
            "total": len(rows),
            "running": sum(bool(row["running"]) for row in rows),
            "offset": offset,
            "unread": unread[:100],
        }

    return reply(await run_in_threadpool(answer))


def _rows(parts: Parts, service: str) -> list[dict[str, Any]]:
    """Return a row for each function; one that is asked for by service must run in it."""
    running: dict[str, list[Any]] = {}
    for one in parts.fleet.functions(service):
        running.setdefault(one.function, []).append(one)
    written = {one.function: one for one in parts.catalog.functions()}
    names = set(running) if service else {*running, *written}
    rows = []
    for name in sorted(names):
        live, source = running.get(name, []), written.get(name)
        first = live[0] if live else None
        rows.append(
            {
                "function": name,
                "kind": source.kind if source else first.kind if first else "",
                "file": source.file if source else first.file if first else "",
                "line": source.line if source else first.line if first else 0,
                "doc": source.doc if source else "",
                "running": [
                    {"service": one.service, "summary": one.summary, "strategies": one.strategies} for one in live
                ],
            }
        )
    return rows


async def resolve(request: Request) -> Response:
    """The function that a name means."""
    parts, name = parts_of(request), request.query_params.get("name", "")
    return reply({"function": await run_in_threadpool(known, parts, name)})


def known(parts: Parts, name: str) -> str:
    """Return the function or pattern that ``name`` means.

    Raises:
        Invalid: when it means none or several; or when it names a function of a known module that has none so called.
    """
    target = parse_target(meant(parts, name, "function"))
    if not target.exact:
        return str(target)
    functions = {
        *(one.function for one in parts.fleet.functions()),
        *(one.function for one in parts.catalog.functions()),
    }
    of_module = [one for one in functions if one.startswith(f"{target.module}:")]
    if str(target) in functions or not of_module:
        return str(target)  # of a module that is not known: a library's, say
    close = difflib.get_close_matches(str(target), of_module, _MOST_SHOWN, 0.5) or sorted(of_module)[:_MOST_SHOWN]
    raise Invalid("function", name, f"module {target.module!r} has no such function; it has {', '.join(close)}")
