"""``/api/functions``: what runs, and hijack, unhijack and inspect by function."""

from __future__ import annotations

from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.report import STATES
from mystic_agent.contract.strategy import STRATEGIES
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api.asker import actor
from mystic_collector.api.hijacks import added, meant
from mystic_collector.api.status import require_text
from mystic_collector.discovery.config import ignore_patterns
from mystic_collector.discovery.inspection import find_file, inspect
from mystic_collector.hijacks.live import MOST_INSTANCES, LiveFunction
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, read_object, refusal, reply

_FIELDS = ("function", "strategy", "options", "service", "stage", "owner", "reason", "expires_in")


async def functions(request: Request) -> Response:
    """Functions of living processes, with their state per process."""
    params = request.query_params
    query, service, state = params.get("q", "").lower(), params.get("service", ""), params.get("state", "")
    if state and state not in STATES:
        raise Invalid("state", state, f"give one of {', '.join(STATES)}")
    limit, offset = number(request, "limit", 1000, 1, 100_000), number(request, "offset", 0, 0, 10**9)
    fleet = parts_of(request).fleet

    def answer() -> dict[str, Any]:
        live = fleet.functions(service, params.get("function", ""))
        found = [one for one in live if query in one.function.lower() and (not state or one.states.get(state))]
        return {"functions": [_row(one) for one in found[offset : offset + limit]], "total": len(found)}

    return reply({**await run_in_threadpool(answer), "offset": offset})


def _row(one: LiveFunction) -> dict[str, Any]:
    instances = one.instances()
    return {
        "function": one.function,
        "service": one.service,
        "kind": one.kind,
        "file": one.file,
        "line": one.line,
        "states": one.states,
        "processes": one.processes,
        "summary": one.summary,
        "strategies": one.strategies,
        "hijacks": one.hijacks,
        "reasons": one.reasons,
        "instances": instances[:MOST_INSTANCES],
        "instances_left_out": max(0, len(instances) - MOST_INSTANCES),
    }


async def hijack(request: Request) -> Response:
    """Add a hijack with one strategy, or replace the one of the same function, service and strategy."""
    body = await read_object(request)
    for name in body:
        if name not in _FIELDS:
            raise Invalid("body", name, f"unknown field; known are {', '.join(_FIELDS)}")
    strategy = _strategy(body)
    function = require_text(body, "function")
    parts, who = parts_of(request), actor(request, "")

    def put() -> dict[str, Any]:
        target = meant(parts, function, "function")
        stage = body.get("stage", "*")
        if not isinstance(stage, str):
            raise Invalid("stage", stage, "name a stage such as production, or *")
        fields: dict[str, Any] = {
            "target": target,
            "service": body.get("service", "*"),
            "stages": {stage: [{strategy: body.get("options") or {}}]},
            **{name: body[name] for name in ("owner", "reason", "expires_in") if name in body},
        }
        same = (target, fields["service"], [(stage, [strategy])])
        for one in parts.registry.snapshot().hijacks:
            names = [(stage, [spec.name for spec in specs]) for stage, specs in one.stages.items()]
            if (str(one.target), one.service, names) == same:
                try:
                    return added(parts, parts.registry.put(fields, one.id, who))
                except KeyError:
                    break  # removed meanwhile
        return added(parts, parts.registry.put(fields, actor=who))

    return reply(await run_in_threadpool(put), 201)


async def unhijack(request: Request) -> Response:
    """Remove every hijack of a function, or those of one strategy."""
    body = await read_object(request)
    function = require_text(body, "function")
    wanted = _strategy(body) if body.get("strategy") else ""
    parts, who = parts_of(request), actor(request)

    def remove() -> list[str] | None:
        target = meant(parts, function, "function", _targets(parts))
        found = [
            one
            for one in parts.registry.snapshot().hijacks
            if str(one.target) == target
            and (not wanted or wanted in {spec.name for specs in one.stages.values() for spec in specs})
        ]
        removed = []
        for one in found:
            try:
                removed.append(parts.registry.remove(one.id, who).id)
            except KeyError:
                continue
        return removed

    removed = await run_in_threadpool(remove)
    if not removed:
        return refusal(404, f"{function[:200]!r} is not hijacked", "GET /api/hijacked lists what is")
    return reply({"removed": removed, "count": len(removed)})


def _strategy(body: dict[str, Any]) -> str:
    strategy = require_text(body, "strategy")
    if strategy not in STRATEGIES:
        raise Invalid("strategy", strategy, f"give one of {', '.join(sorted(STRATEGIES))}")
    return strategy


def _targets(parts: Parts) -> list[str]:
    return [str(one.target) for one in parts.registry.snapshot().hijacks]


async def inspect_function(request: Request) -> Response:
    """Signature, docstring, source, schema of the parameters and dependencies, from source alone."""
    body = await read_object(request)
    name = require_text(body, "function")
    parts = parts_of(request)
    root = parts.settings.project_root

    def answer() -> dict[str, Any]:
        function = meant(parts, name, "function")
        file, line = find_file(function, root, ignore_patterns(root), parts.fleet.file_of(function))
        live = parts.fleet.functions(function=function)
        running = [{"service": one.service, "states": one.states, "hijacks": one.hijacks} for one in live]
        return {**inspect(function, file, line), "running": running}

    return reply(await run_in_threadpool(answer))
