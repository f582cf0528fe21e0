"""``mystic logs``: what calls logged, and what else was told of them."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import ending, moment, plain, show, whole

_EVERY = 0.5
_MOST = 1_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("function", nargs="?", help="only of this one: module:qualname, a dotted path or a bare name")
    parser.add_argument("--follow", action="store_true", help="go on with what arrives, until interrupted")
    parser.add_argument("--level", help="the lowest: debug, info, warning or error")
    parser.add_argument("--since", help="how long ago at most, e.g. 15m")
    parser.add_argument("--text", help="only records that hold this")
    parser.add_argument("--service", help="only of this service")
    parser.add_argument("--limit", default="50", help="how many of the newest (default: 50)")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Show the newest records, the newest last, and with --follow those that come."""
    wanted = {name: getattr(args, name) for name in ("function", "level", "since", "text", "service")}
    wanted = {name: value for name, value in wanted.items() if value}
    with Connection(args) as collector:
        found = collector.post("/api/logs", {**wanted, "limit": whole(args.limit, "--limit", _MOST)})
        if not args.follow:
            found["logs"].reverse()
            show(args, found, "\n".join(map(_line, found["logs"])) or "no such record is kept")
            return 0
        _print(args, reversed(found["logs"]))
        wanted.pop("since", None)  # what arrives is new, however old it says it is
        _follow(args, collector, wanted, found["newest"])
    return 0


def _follow(args: argparse.Namespace, collector: Connection, wanted: dict[str, Any], newest: int) -> None:
    while True:
        found = collector.post("/api/logs", {**wanted, "after": newest, "limit": _MOST})
        _print(args, found["logs"])
        newest = found["newest"]
        if not found["next"]:
            time.sleep(_EVERY)


def _print(args: argparse.Namespace, records: Any) -> None:
    for one in records:
        text = json.dumps(one) if getattr(args, "format", "text") == "json" else _line(one)
        print(text, flush=True)


def _line(one: dict[str, Any]) -> str:
    """Return a record on one line: it is foreign text on its way to a terminal."""
    event = "" if one["event"] in ("", "mystic.log") else f"{one['event']} "
    # Our own lines begin with the function already.
    where = "" if one["event"] == "mystic.log" else f"{one['function'] or one['service']}: "
    return plain(f"{moment(one['time'])} {one['level'] or '-':<7} {event}{where}{one['message']}".rstrip())


command = Command(
    name="logs",
    help="show what calls logged",
    example="mystic logs app.ocr:process --follow",
    configure=configure,
    run=run,
)
