"""``/api/doctor``: what the collector finds amiss with itself, each finding with its remedy."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.finding import Finding
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.hijacks.membership import Membership
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import reply
from mystic_collector.store.protocol import StoreError
from mystic_collector.version import VERSION

_NAMED = 3
"""Things of a kind that are named one by one."""


async def doctor(request: Request) -> Response:
    """Look at this collector from inside."""
    found = await run_in_threadpool(lambda: list(findings(parts_of(request))))
    ok = all(one.verdict != "fail" for one in found)
    return reply({"ok": ok, "findings": [one.to_json() for one in found]})


def findings(parts: Parts) -> Iterator[Finding]:
    """Yield what there is to say, in the order in which things depend on one another."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("program", "ok", f"mystic {VERSION} on Python {python} ({sys.executable})")
    named = sorted(name for name, value in os.environ.items() if value.strip() and _ours(name))
    yield Finding("environment", "ok", f"it has {', '.join(named)}" if named else "nothing of ours is set in it")
    yield Finding("sys.path", "ok", os.pathsep.join(filter(None, sys.path)))
    for look in _LOOKS:
        yield look(parts)
    if parts.membership is not None:
        yield _fleet(parts.membership)


def _ours(name: str) -> bool:
    return name.startswith(("MYSTIC_", "MCP_SIDECAR_")) or name in ("PROJECT_ROOT", "PYTHONPATH", "LOG_LEVEL")


def _key(parts: Parts) -> Finding:
    settings = parts.settings
    if settings.api_key:
        return Finding("key", "ok", "asked for")
    if settings.near:
        return Finding("key", "note", f"none is asked for; only this machine reaches {settings.host}")
    text = f"none is asked for, and {settings.host} is reached from outside: set MYSTIC_API_KEY_FILE on both sides"
    return Finding("key", "warn", text)


def _project(parts: Parts) -> Finding:
    root = parts.settings.project_root
    if not os.access(root, os.R_OK | os.X_OK):
        return Finding("project", "fail", f"{root} cannot be read: let user {os.getuid()} read it")
    try:
        functions, unread = parts.catalog.functions(), parts.catalog.unread()
    except Invalid as error:
        return Finding("project", "fail", f"{error.field} is {error.shown}: {error.remedy}")
    if unread:
        some = "; ".join(f"{one.file}: {one.reason}" for one in unread[:_NAMED])
        text = f"{len(unread)} files of {root} cannot be read: {some}; let user {os.getuid()} read them, or mend them"
        return Finding("project", "warn", text)
    if not functions:
        text = f"{root} holds no Python function: mount the application's source there, or set PROJECT_ROOT to it"
        return Finding("project", "warn", text)
    return Finding("project", "ok", f"{len(functions)} functions in {root}")


def _data(parts: Parts) -> Finding:
    folder = parts.settings.data_dir
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("data", "fail", f"{folder} cannot be written: let user {os.getuid()} write it")
    if parts.settings.store is not None:
        return Finding("data", "ok", str(folder))  # telemetry, which grows, is elsewhere
    free = shutil.disk_usage(folder).free
    wanted = parts.settings.retention_bytes - parts.store.sizes().bytes
    if free < wanted:
        text = f"{folder} has {free >> 20} MiB left and may grow by {wanted >> 20}: lower MYSTIC_RETENTION_BYTES"
        return Finding("data", "warn", text)
    return Finding("data", "ok", str(folder))


def _store(parts: Parts) -> Finding:
    if parts.settings.store is None:
        return Finding("store", "ok", "a file in the data directory")
    try:
        sizes = parts.store.sizes()
    except StoreError as error:
        text = f"{error}; what agents send waits until it does, and MYSTIC_MAX_QUEUE says how much may"
        return Finding("store", "fail", text)
    return Finding("store", "ok", f"{parts.settings.store}, {sizes.bytes >> 20} MiB, shared with whoever names it")


def _processes(parts: Parts) -> Finding:
    known = parts.fleet.processes()
    connected = [one for one in known if one.streams]
    if not connected:
        text = (
            "no agent listens: start the application with 'mystic run', or with PYTHONPATH and MYSTIC_HOST as "
            "docs/containers.md says; 'mystic doctor' beside it tells why it does not come up"
        )
        return Finding("agents", "warn", text)
    silent = len(known) - len(connected)
    more = f"; {silent} have ended or gone silent" if silent else ""
    return Finding("agents", "ok", f"{len(connected)} processes listen{more}")


def _ingest(parts: Parts) -> Finding:
    counts = parts.writer.counts()
    if counts.lost:
        return Finding("telemetry", "fail", f"{counts.lost} items could not be written: look into the collector's log")
    if counts.refused:
        text = f"{counts.refused} items were refused for a while, and sent again: raise MYSTIC_MAX_QUEUE or give it CPU"
        return Finding("telemetry", "warn", text)
    return Finding("telemetry", "ok", f"{counts.written} items written since the start")


def _forward(parts: Parts) -> Finding:
    counts = parts.forward.counts()
    troubled = [one for one in counts if one.trouble]
    if troubled:
        some = "; ".join(f"{one.url}: {one.trouble}, {one.waiting} items wait" for one in troubled[:_NAMED])
        return Finding("sending on", "warn", f"{some}: look whether it runs, and at MYSTIC_FORWARD and its headers")
    return Finding("sending on", "ok", f"to {', '.join(one.url for one in counts)}" if counts else "to nobody")


def _off(parts: Parts) -> Finding:
    off = sorted(parts.registry.off())
    if off:
        return Finding("switch", "note", f"hijacks are off for {', '.join(off)}: 'mystic on' ends that")
    return Finding("switch", "ok", "on")


def _fleet(membership: Membership) -> Finding:
    found = membership.to_json()
    if found["trouble"]:
        text = (
            f"its server {found['server']} does not answer ({found['trouble']}): what was in force stays so and cannot "
            "be changed; look whether it runs, and at MYSTIC_FLEET and MYSTIC_FLEET_PASSWORD_FILE"
        )
        return Finding("fleet", "fail", text)
    evicting = membership.eviction()
    if evicting.startswith("allkeys"):
        text = (
            f"its server gives hijacks up for room (maxmemory-policy {evicting}): set it to volatile-lru or noeviction"
        )
        return Finding("fleet", "warn", text)
    others = [one["name"] for one in found["collectors"] if not one["here"]]
    named = ", ".join(others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
    return Finding("fleet", "ok", f"with {named} at {found['server']}" if others else f"alone at {found['server']}")


_LOOKS: tuple[Callable[[Parts], Finding], ...] = (_key, _project, _data, _store, _processes, _ingest, _forward, _off)
