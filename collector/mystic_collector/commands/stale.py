"""``mystic stale``: hijacks to be removed or renewed."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import ending, plain, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--unused", default=None, help="how long nothing has been called (default: 7d)")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """List them, each with the reason and what to type."""
    with Connection(args) as collector:
        found = collector.get("/api/hijacks/stale", unused=args.unused)
    show(args, found, listing(found["stale"]) or "no hijack is stale")
    return 0


def listing(stale: list[dict[str, Any]]) -> str:
    """Return a line for each reason; empty when there is none."""
    return "\n".join(
        plain(f"{one['hijack']} on {one['target']}: {reason['text']}; '{reason['command']}'")
        for one in stale
        for reason in one["reasons"]
    )


command = Command(
    name="stale",
    help="list the hijacks that should be removed or renewed, and why",
    example="mystic stale --unused 3d",
    configure=configure,
    run=run,
)
