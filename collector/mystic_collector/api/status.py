"""``/health``, ``/api/status`` and ``/api/init``: is it there, what is it, what is missing."""

from __future__ import annotations

from typing import Any

import mystic_agent.contract.wire as wire
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import read_text
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.discovery.config import write_config
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import read_object, refusal, reply
from mystic_collector.store.protocol import StoreError
from mystic_collector.store.records import Sizes
from mystic_collector.version import VERSION

Facts = dict[tuple[str, str], dict[tuple[str, str], float]]


async def health(request: Request) -> Response:
    """Answer without a key, without the store and without waiting."""
    off = sorted(parts_of(request).registry.off())
    told = {"status": "ok", "name": "gnosis-mystic", "version": VERSION, "protocol": wire.PROTOCOL, "off": off}
    return reply(told)


async def status(request: Request) -> Response:
    """Answer with what this collector is, hears and drops."""
    return reply(await run_in_threadpool(_status, parts_of(request)))


def _status(parts: Parts) -> dict[str, Any]:
    facts, sizes, trouble = _kept(parts)
    processes = [_process(one, facts.get((one.service, one.instance), {})) for one in parts.fleet.processes()]
    counts, snapshot = parts.writer.counts(), parts.registry.snapshot()
    dropped: dict[str, float] = {}
    for known in facts.values():
        for (metric, kind), value in known.items():
            if metric == wire.DROPPED:
                dropped[kind] = dropped.get(kind, 0) + value
    forwarded = [one.told() for one in parts.forward.counts()]
    if missed := sum(sum(one["dropped"].values()) for one in forwarded):
        dropped["forward"] = missed
    return {
        "status": "ok",
        "version": VERSION,
        "uptime": parts.clock() - parts.started,
        "project_root": str(parts.settings.project_root),
        "api_key": bool(parts.settings.api_key),
        "chat_read_only": parts.settings.chat_read_only,
        "trace_ui": parts.settings.trace_ui,
        "processes": processes,
        "services": sorted({one["service"] for one in processes}),
        "hijacks": {"version": snapshot.version, "count": len(snapshot.hijacks)},
        "off": snapshot.off,
        **({"fleet": parts.membership.to_json()} if parts.membership is not None else {}),
        "streams": parts.streams.count,
        "dropped": dropped,
        "overhead": overhead(parts, facts),
        "ingest": {
            "accepted": counts.accepted,
            "written": counts.written,
            "waiting": counts.waiting,
            "refused": counts.refused,
            "lost": counts.lost,
        },
        "forward": forwarded,
        "store": {
            "spans": sizes.spans,
            "points": sizes.points,
            "logs": sizes.logs,
            "functions": sizes.functions,
            "functions_overflowing": sizes.overflowing,
            "bytes": sizes.bytes,
            "bytes_kept_at_most": parts.settings.retention_bytes,
            "trouble": trouble,
        },
    }


def _kept(parts: Parts) -> tuple[Facts, Sizes, str]:
    """Return what the store says, or why it says nothing: who runs and what is in force is known without it."""
    try:
        return parts.store.facts(), parts.store.sizes(), ""
    except StoreError as error:
        return {}, Sizes(spans=0, points=0, functions=0, overflowing=False, bytes=0), str(error)


def _process(process: Any, facts: dict[tuple[str, str], float]) -> dict[str, Any]:
    states: dict[str, int] = {}
    for one in list(process.functions.values()):
        states[one.state] = states.get(one.state, 0) + 1
    return {
        "service": process.service,
        "instance": process.instance,
        "stage": process.stage,
        "pid": process.pid,
        **process.place(),
        "version": process.version,
        "connected": process.streams > 0,
        "last_seen": process.seen,
        "functions": states,
        "overhead": facts.get((wire.OVERHEAD, "")),
        "dropped": {kind: value for (metric, kind), value in facts.items() if metric == wire.DROPPED and value},
        "status": dict(process.status),
    }


def overhead(parts: Parts, facts: Facts) -> dict[str, Any]:
    """Return the share of one core that agents cost their living processes, as they measure it themselves."""
    shares = [
        known[wire.OVERHEAD, ""]
        for one in parts.fleet.processes()
        if (wire.OVERHEAD, "") in (known := facts.get((one.service, one.instance), {}))
    ]
    return {
        "processes": len(shares),
        "mean_share_of_core": sum(shares) / len(shares) if shares else None,
        "max_share_of_core": max(shares, default=None),
    }


async def init(request: Request) -> Response:
    """Write ``.mystic/config.json`` into the project unless it is there."""
    body = await read_object(request)
    name = read_text(body.get("project_name", ""), "project_name", 100)
    root = parts_of(request).settings.project_root
    try:
        path, written = await run_in_threadpool(write_config, root, name)
    except OSError as error:
        return refusal(409, f"{str(root)!r} cannot be written: {error.strerror}", "run 'mystic init' in the project")
    return reply({"path": str(path), "written": written}, 201 if written else 200)


def require_text(body: dict[str, Any], name: str) -> str:
    """Return a text field of a request.

    Raises:
        Invalid: when it is absent or not text.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Invalid(name, value, f"give {name} as text")
    return value.strip()
