"""``mystic diff``: what differs between two versions of the set of hijacks."""

from __future__ import annotations

import argparse

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import ending, plain, show, whole


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("before", nargs="?", default="", help="a version (default: the one before the other)")
    parser.add_argument("after", nargs="?", default="", help="a version (default: the current one)")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Show the difference; without versions the last change."""
    query = {"from": args.before and whole(args.before, "before", 2**62, 0)}
    query["to"] = args.after and whole(args.after, "after", 2**62, 0)
    with Connection(args) as collector:
        found = collector.get("/api/hijacks/diff", **{name: value for name, value in query.items() if value != ""})
    head = f"version {found['from']} → {found['to']}"
    text = "\n".join([head, *map(plain, found["text"].split("\n"))]) if found["text"] else f"{head}: no difference"
    show(args, found, text)
    return 0


command = Command(
    name="diff",
    help="show what differs between two versions of the hijacks",
    example="mystic diff 3 7",
    configure=configure,
    run=run,
)
