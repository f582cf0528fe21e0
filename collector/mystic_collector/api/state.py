"""``/api/state``: single calls in full, and what happened in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.target import parse_target
from mystic_agent.contract.wire import OUTCOME, SECONDS, SNAPSHOT_EVENT
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.api import page
from mystic_collector.api.captured import captured, stripped
from mystic_collector.api.logs import function_of, known, origin
from mystic_collector.parts import Parts, parts_of
from mystic_collector.reply import number, read_object, reply
from mystic_collector.store.log_records import Cursor, LogQuery, StoredLog
from mystic_collector.store.records import SpanQuery, StoredSpan

FIELDS = ("function", "service", "id", "since", "limit", "cursor")
_CONTENT = {"arguments": dict, "arguments_at": str, "result": str, "exception": dict, "caller": list}
_LAST = 2**63 - 1
_MOST_CHANGES = 2_000


async def snapshots(request: Request) -> Response:
    """One page of snapshots, newest first."""
    body = await read_object(request)
    return reply(await run_in_threadpool(_snapshots, parts_of(request), body))


def _snapshots(parts: Parts, body: dict[str, Any]) -> dict[str, Any]:
    known(body, FIELDS)
    found = parts.store.logs(
        LogQuery(
            function=function_of(parts, body),
            service=page.text(body, "service"),
            events=(SNAPSHOT_EVENT,),
            since_ns=page.since(body, parts.clock()),
            id=page.whole(body, "id", 0, 1, _LAST),
            before=page.cursor(body),
            limit=page.whole(body, "limit", 20, 1, page.MOST),
        )
    )
    rows = [_snapshot(one) for one in found.records]
    return {"snapshots": rows, "count": len(rows), "next": page.written(found.next)}


def _snapshot(stored: StoredLog) -> dict[str, Any]:
    """Return a snapshot; of a sender that is no agent of ours, the text it sent."""
    told = orjson.loads(stored.row.attributes)
    try:
        body = orjson.loads(stored.row.body)
    except orjson.JSONDecodeError:
        body = None
    content = body if isinstance(body, dict) else {}
    shown = {
        **origin(stored),
        "outcome": told.get(OUTCOME),
        "duration": told.get(SECONDS),
        "started_ns": told.get("mystic.started_ns"),
        "number": told.get("mystic.snapshot.number"),
        "of": told.get("mystic.snapshot.count"),
        "hijack": told.get("mystic.hijack"),
        "thread": told.get("thread.name"),
        "task": told.get("mystic.task"),
        **{name: content.get(name) if isinstance(content.get(name), kind) else None for name, kind in _CONTENT.items()},
    }
    return captured(shown if content else {**shown, "text": stored.row.body})


class _Moment(NamedTuple):
    """One entry of the timeline; ``order`` tells those of the same nanosecond apart, the same at every request."""

    time_ns: int
    order: int
    shown: dict[str, Any]


async def timeline(request: Request) -> Response:
    """Snapshots, changes of the hijacks, and errors of sampled calls, newest first."""
    parts, params = parts_of(request), request.query_params
    asked: dict[str, Any] = {
        name: params[name] for name in ("function", "service", "since", "cursor") if name in params
    }
    limit = number(request, "limit", 100, 1, 500)

    def answer() -> dict[str, Any]:
        wanted = _Wanted(
            function_of(parts, asked),
            page.text(asked, "service"),
            page.since(asked, parts.clock()),
            page.cursor(asked) or Cursor(_LAST, _LAST),
            limit,
        )
        moments = sorted(
            (one for source in _SOURCES for one in source(parts, wanted) if one[:2] < wanted.before), reverse=True,
            key=lambda one: one[:2],
        )  # fmt: skip
        rows = moments[:limit]
        following = Cursor(*rows[-1][:2]) if len(moments) > limit else None
        return {"timeline": [one.shown for one in rows], "count": len(rows), "next": page.written(following)}

    return reply(await run_in_threadpool(answer))


class _Wanted(NamedTuple):
    """Which moments: at or after ``since_ns``, before ``before``; one more than ``limit`` tells that there are more."""

    function: str
    service: str
    since_ns: int
    before: Cursor
    limit: int


def _of_snapshots(parts: Parts, wanted: _Wanted) -> Iterator[_Moment]:
    query = LogQuery(
        function=wanted.function,
        service=wanted.service,
        events=(SNAPSHOT_EVENT,),
        since_ns=wanted.since_ns,
        before=Cursor(wanted.before.time_ns, _LAST),
        limit=wanted.limit + 1,
    )
    given = 0
    while given <= wanted.limit:
        found = parts.store.logs(query)
        for one in found.records:
            given += (one.row.time_ns, one.id * 3) < wanted.before
            whole = _snapshot(one)
            failed = whole["exception"]
            brief = {key: value for key, value in whole.items() if key not in _CONTENT}
            brief["error"] = f"{failed.get('type')}: {failed.get('message')}" if isinstance(failed, dict) else None
            yield _Moment(one.row.time_ns, one.id * 3, {"kind": "snapshot", **brief})
        if found.next is None:
            return
        query = replace(query, before=found.next)


def _of_changes(parts: Parts, wanted: _Wanted) -> Iterator[_Moment]:
    given = 0
    for entry in _audit(parts):
        time_ns = round(entry["at"] * 1e9)
        if time_ns < wanted.since_ns or given > wanted.limit:
            return
        moment = Cursor(time_ns, entry["id"] * 3 + 1)
        if moment >= wanted.before or not _concerns(entry, wanted):
            continue
        given += 1
        hijack = entry["after"] or entry["before"] or {}
        shown = {name: entry[name] for name in ("action", "hijack", "actor", "version", "note")}
        strategies = sorted({name for listed in hijack.get("stages", {}).values() for one in listed for name in one})
        shown |= {"target": hijack.get("target"), "strategies": strategies, "reason": hijack.get("reason")}
        yield _Moment(*moment, {"kind": "change", "time": entry["at"], "time_ns": time_ns, **stripped(shown)})


def _audit(parts: Parts) -> Iterator[dict[str, Any]]:
    """Yield the lines of the audit, newest first."""
    before = 0
    for _ in range(_MOST_CHANGES // 100):
        entries = parts.registry.audit(100, before)
        yield from entries
        if len(entries) < 100:
            return
        before = entries[-1]["id"]


def _concerns(entry: dict[str, Any], wanted: _Wanted) -> bool:
    """True when the change means the function and the service; the switch means all functions."""
    bodies = [one for one in (entry["before"], entry["after"]) if isinstance(one, dict) and "target" in one]
    if not bodies:
        return wanted.service in ("", entry["hijack"]) or entry["hijack"] == "*"
    if wanted.service and all(one.get("service") not in ("*", wanted.service) for one in bodies):
        return False
    module, _, qualname = wanted.function.partition(":")
    try:
        return not wanted.function or any(parse_target(one["target"], "t").matches(module, qualname) for one in bodies)
    except Invalid:
        return False  # refused for its target, and kept in the audit as it was asked for


def _of_errors(parts: Parts, wanted: _Wanted) -> Iterator[_Moment]:
    query = SpanQuery(
        function=wanted.function,
        service=wanted.service,
        limit=wanted.limit + 1,
        since_ns=wanted.since_ns,
        until_ns=wanted.before.time_ns,
    )
    failed = parts.store.failures(query)
    callers = set() if wanted.function else {(one.span.trace_id, one.span.parent_id) for one in failed}
    for one in failed:
        # Of one error that passed through many calls, the call where it began.
        if (one.span.trace_id, one.span.span_id) not in callers:
            order = int.from_bytes(one.span.span_id) % (_LAST // 4) * 3 + 2
            yield _Moment(one.span.start_ns, order, _error(one))


def _error(stored: StoredSpan) -> dict[str, Any]:
    span = stored.span
    shown = {
        "time": span.start_ns / 1e9,
        "time_ns": span.start_ns,
        "function": span.function or span.name,
        "service": stored.service,
        "instance": stored.instance,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "error": span.error,
        "duration": (span.end_ns - span.start_ns) / 1e9,
    }
    return {"kind": "error", **captured(shown)}


_SOURCES: tuple[Callable[[Parts, _Wanted], Iterator[_Moment]], ...] = (_of_snapshots, _of_changes, _of_errors)
