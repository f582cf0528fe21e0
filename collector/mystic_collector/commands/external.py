"""``mystic external``: which functions spend their time outside of their process."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import columns, duration, ending, show

_HEAD = ["FUNCTION", "PEER", "PROTOCOL", "THROUGH", "REQUESTS", "ERRORS", "WAITED", "SHARE"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("name", nargs="?", default="", help="only this function, peer or protocol")
    parser.add_argument("--service", default="", help="only this service")
    parser.add_argument("--stage", default="", help="only processes of this stage")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Ask and show."""
    with Connection(args) as collector:
        found = collector.get("/api/analysis/external", q=args.name, service=args.service, stage=args.stage)
    rows = [row for one in found["functions"] for row in _rows(one)]
    text = columns([_HEAD, *rows], right=(4, 5, 6, 7)) if rows else "no function was seen calling out"
    show(args, found, text)
    return 0


def _rows(one: dict[str, Any]) -> list[list[str]]:
    rows = []
    for position, out in enumerate(one["calls_out"]):
        share = "" if position or one["share"] is None else f"{one['share']:.0%}"
        name = "" if position else one["function"] or "(no function of the project)"
        figures = [str(out["operations"]), str(out["errors"]), duration(out["waited"])]
        rows.append([name, out["peer"], out["protocol"] or "-", out["via"] or "-", *figures, share])
    return rows


command = Command(
    name="external",
    help="functions that spend their time outside: requests, databases, programs",
    example="mystic external --service shop",
    configure=configure,
    run=run,
)
