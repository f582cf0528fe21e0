"""``mystic undo``: bring an earlier version of the hijacks back."""

from __future__ import annotations

import argparse
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import ending, plain, show, whole


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--to", default="", metavar="VERSION", help="which version (default: before the last change)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Undo; that is a change of its own, which can be undone as well."""
    body = {"to": whole(args.to, "--to", 2**62, 0)} if args.to else {}
    with Connection(args) as collector:
        done = collector.post("/api/hijacks/undo", body, dry_run="true" if args.dry_run else None)
    show(args, done, _text(done))
    return 0


def _text(done: dict[str, Any]) -> str:
    head = f"would go back to version {done['to']}" if done["dry_run"] else f"back to version {done['to']}"
    head += "" if done["dry_run"] else f", as version {done['version']}; 'mystic undo' undoes this"
    return "\n".join(map(plain, [head, *done["text"].split("\n"), *done["left_out"]]))


command = Command(
    name="undo",
    help="bring an earlier version of the hijacks back",
    example="mystic undo --to 7 --dry-run",
    configure=configure,
    run=run,
)
