"""``mystic snapshots``: single calls in full."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import Failed, columns, duration, ending, moment, plain, show, whole

_MOST = 1_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("function", nargs="?", help="only of this one: module:qualname, a dotted path or a bare name")
    parser.add_argument("--id", help="look at this one in full")
    parser.add_argument("--since", help="how long ago at most, e.g. 15m")
    parser.add_argument("--service", help="only of this service")
    parser.add_argument("--limit", default="20", help="how many of the newest (default: 20)")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """List them, the newest last, or show one."""
    wanted = {name: getattr(args, name) for name in ("function", "since", "service") if getattr(args, name)}
    wanted["limit"] = whole(args.limit, "--limit", _MOST)
    if args.id:
        wanted["id"] = whole(args.id, "--id", 2**62)
    with Connection(args) as collector:
        found = collector.post("/api/state/snapshots", wanted)
    rows = found["snapshots"]
    if args.id and not rows:
        raise Failed(f"there is no snapshot {args.id}", "'mystic snapshots' lists them")
    rows.reverse()
    show(args, found, "\n".join(_whole(rows[0])) if args.id else _list(rows))
    return 0


def _list(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no snapshot is kept; take some with 'mystic hijack FUNCTION --snapshot'"
    table = [
        [str(one["id"]), moment(one["time"]), one["function"], _took(one), _arguments(one), _came(one)] for one in rows
    ]
    return columns([["ID", "WHEN", "FUNCTION", "TOOK", "ARGUMENTS", "OUTCOME"], *table], right=(0, 3), names=2)


def _whole(one: dict[str, Any]) -> Iterator[str]:
    count = f", {one['number']} of {one['of']}" if one["number"] else ""
    where = ", ".join(filter(None, (one["thread"], one["task"] and f"task {one['task']}")))
    yield plain(f"{one['function']} at {moment(one['time'])}, took {_took(one)}{count}")
    yield plain(f"  in {one['service']} {one['instance']}{f' ({where})' if where else ''}")
    if one["trace_id"]:
        yield plain(f"  trace {one['trace_id']}")
    late = " (as the call left them)" if one["arguments_at"] == "end" else ""
    yield f"  arguments{late}:"
    yield from _named(one["arguments"] or {}, "    ")
    if one["exception"]:
        yield from _exception(one["exception"], "  raised")
    else:
        yield plain(f"  returned {one['result']}")
    yield "  called by:"
    yield from (_frame(frame, "    ") for frame in one["caller"] or [])


def _exception(failed: dict[str, Any], said: str) -> Iterator[str]:
    yield plain(f"{said} {_error(failed)}")
    yield from (plain(f"    note: {note}") for note in failed.get("notes") or ())
    for frame in failed.get("frames") or ():
        yield _frame(frame, "    ")
        yield from _named(frame.get("locals") or {}, "      ")
    if failed.get("cause"):
        yield from _exception(failed["cause"], "  because of")


def _named(values: dict[str, Any], indent: str) -> Iterator[str]:
    return (indent + plain(f"{name} = {value}") for name, value in values.items())


def _frame(frame: dict[str, Any], indent: str) -> str:
    return indent + plain(f"{frame.get('function')} in {frame.get('file')}:{frame.get('line')}")


def _error(failed: dict[str, Any]) -> str:
    return f"{failed.get('type')}: {failed.get('message')}"


def _took(one: dict[str, Any]) -> str:
    return duration(one["duration"]) if one["duration"] is not None else "-"


def _arguments(one: dict[str, Any]) -> str:
    text = ", ".join(f"{name}={value}" for name, value in (one["arguments"] or {}).items())
    return _short(text or one.get("text", ""))


def _came(one: dict[str, Any]) -> str:
    failed = one["exception"]
    return _short(f"raised {_error(failed)}" if failed else f"returned {one['result']}")


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


command = Command(
    name="snapshots",
    help="list calls that were looked into, or show one in full",
    example="mystic snapshots app.ocr:process --id 7",
    configure=configure,
    run=run,
)
