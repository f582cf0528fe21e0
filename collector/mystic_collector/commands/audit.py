"""``mystic audit``: who changed what and when, and what was refused."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import columns, ending, moment, show, whole


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--limit", default="20", help="how many lines (default: 20)")
    parser.add_argument("--before", default=None, metavar="NUMBER", help="the lines before this one")
    parser.add_argument("--hijack", default=None, help="only those about the hijack with this id")
    parser.add_argument("--actor", default=None, help="only those of this person or program")
    parser.add_argument("--refused", action="store_true", help="only refused attempts")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """List the lines."""
    query = {"hijack": args.hijack, "actor": args.actor, "refused": "true" if args.refused else None}
    before = args.before and whole(args.before, "--before", 2**62)
    with Connection(args) as collector:
        found = collector.get("/api/audit", limit=whole(args.limit, "--limit", 10_000), before=before, **query)
    show(args, found, _text(found))
    return 0


def _text(found: dict[str, Any]) -> str:
    if not found["audit"]:
        return "nothing is written down"
    rows = [
        [str(one["id"]), moment(one["at"]), str(one["version"]), one["actor"] or "-", one["action"], _what(one)]
        for one in found["audit"]
    ]
    table = columns([["LINE", "WHEN", "VERSION", "WHO", "ACTION", "WHAT"], *rows], right=(0, 2))
    return f"{table}\n… and earlier ones; use --before {found['next']}" if found["next"] else table


def _what(one: dict[str, Any]) -> str:
    body = one["after"] or one["before"] or {}
    target = f" on {body['target']}" if "target" in body else ""
    name = "everything" if one["hijack"] == "*" else one["hijack"]
    note = one["note"] or body.get("reason", "")
    return f"{name}{target}{f': {note}' if note else ''}"


command = Command(
    name="audit",
    help="list who changed what, and what was refused",
    example="mystic audit --refused",
    configure=configure,
    run=run,
)
