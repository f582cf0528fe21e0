"""``mystic off`` and ``mystic on``: release everything in every process at once, and end that."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import ending, plain, show
from mystic_collector.commands.polled import polled


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--service", default="*", help="only this service (default: all)")
    parser.add_argument("--reason", default="", help="why; shown to others")
    add_address(parser)


def _run(off: bool) -> Callable[[argparse.Namespace], int]:
    @ending
    def run(args: argparse.Namespace) -> int:
        """Switch, and wait until every process that listens has followed, five seconds at most."""
        with Connection(args) as collector:
            done = collector.post("/api/off" if off else "/api/on", {"service": args.service, "reason": args.reason})
            waiting = _followed(collector, done["version"], args.service)
        show(args, {**done, "waiting": waiting}, _text(off, args.service, done, waiting))
        return 0

    return run


def _followed(collector: Connection, version: int, service: str) -> list[int]:
    """Return the processes that listen and have not followed, by id."""

    def waiting() -> list[int]:
        processes = collector.get("/api/status")["processes"]
        mine = [one for one in processes if one["connected"] and service in ("*", one["service"])]
        return [one["pid"] for one in mine if one["version"] < version]

    return polled(waiting(), waiting, lambda left: not left)


def _text(off: bool, service: str, done: dict[str, Any], waiting: list[int]) -> str:
    what = "everything" if service == "*" else service
    was = "" if done["changed"] else "already "
    lines = [f"{what} is {was}{'off: all functions are as they were written' if off else 'on'}"]
    if off and done["changed"]:
        lines.append(f"end it with 'mystic on{'' if service == '*' else f' --service {service}'}'")
    if waiting:
        lines.append(f"not heard of yet from process {', '.join(map(str, waiting))}; see 'mystic status'")
    return "\n".join(plain(line) for line in lines)


off = Command(
    name="off",
    help="release everything, hijacks and observation, in every process at once",
    example="mystic off --service shop --reason 'incident 7'",
    configure=configure,
    run=_run(True),
)
on = Command(
    name="on",
    help="end what 'mystic off' began",
    example="mystic on --service shop",
    configure=configure,
    run=_run(False),
)
