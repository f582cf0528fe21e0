"""``mystic export``: proven hijacks as a patch of the source."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.connection import Connection, add_address
from mystic_collector.commands.ending import Failed, ending, plain, show
from mystic_collector.commands.named import named


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("target", nargs="?", default="", help="a hijack's id, or its target (default: all hijacks)")
    parser.add_argument("--output", default="", metavar="FILE", help="write the patch there (default: print it)")
    parser.add_argument("--stage", default=None, help="the stage that is meant, where a hijack has several")
    add_address(parser)


@ending
def run(args: argparse.Namespace) -> int:
    """Print the patch, or write it; what cannot be exported is named on stderr, and is a failure when nothing can."""
    with Connection(args) as collector:
        path = "/api/patch"
        if args.target:
            first, *others = named(args.target, collector.get("/api/hijacks")["hijacks"])
            if others:
                ids = ", ".join(one["id"] for one in (first, *others))
                raise Failed(f"{args.target!r} means several hijacks", f"name one by its id: {ids}", 2)
            path = f"/api/hijacks/{first['id']}/patch"
        found = collector.get(path, stage=args.stage)
    for one in found["refused"]:
        print(f"mystic: {plain(one['function'])} is not exported; {plain(one['reason'])}", file=sys.stderr)
    for note in found["notes"]:
        print(f"mystic: {plain(note)}", file=sys.stderr)
    if not found["patch"]:
        raise Failed("there is nothing to export", "'mystic status' lists the hijacks" if not found["refused"] else "")
    show(args, found, _written(args.output, found) if args.output else found["patch"].rstrip("\n"))
    return 0


def _written(output: str, found: dict[str, Any]) -> str:
    path = Path(output)
    path.write_text(found["patch"], encoding="utf-8", newline="")
    return f"wrote {path}: {', '.join(map(plain, found['functions']))}; apply it with 'git apply {path}' in the project"


command = Command(
    name="export",
    help="write proven hijacks as a patch of the source",
    example="mystic export app.ocr:process --output ocr.patch",
    configure=configure,
    run=run,
)
