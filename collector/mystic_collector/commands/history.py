"""``mystic history``: every version of the set of hijacks, newest first."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import columns, ending, moment, show, whole


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--limit", default="20", help="how many versions (default: 20)")
    parser.add_argument("--hijack", default=None, help="only versions that changed the hijack with this id")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """List the versions."""
    with Connection(args) as collector:
        limit = whole(args.limit, "--limit", 1000)
        found = collector.get("/api/hijacks/history", limit=limit, hijack=args.hijack)
    show(args, found, _text(found))
    return 0


def _text(found: dict[str, Any]) -> str:
    if not found["history"]:
        return "nothing was changed yet"
    rows = [
        [str(one["version"]), moment(one["at"]), one["actor"] or "-", one["action"], _what(one)]
        for one in found["history"]
    ]
    table = columns([["VERSION", "WHEN", "WHO", "ACTION", "WHAT"], *rows], right=(0,))
    return f"{table}\n… and earlier ones; use --limit" if found["next"] else table


def _what(one: dict[str, Any]) -> str:
    if one["services"]:
        names = ", ".join("everything" if name == "*" else name for name in one["services"])
        return f"{names} ({one['note']})" if one["note"] else names
    return ", ".join(f"{change['hijack']} on {change['target']}" for change in one["changes"])


command = Command(
    name="history",
    help="list the versions of the set of hijacks",
    example="mystic history --limit 5",
    configure=configure,
    run=run,
)
