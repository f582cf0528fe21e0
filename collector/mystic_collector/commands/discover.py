"""``mystic discover``: the functions of a project, from its source; needs no collector."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path

from mystic_agent.cli.command import Command

from mystic_collector.commands.ending import Failed, columns, ending, plain, show
from mystic_collector.discovery.config import ignore_patterns
from mystic_collector.discovery.source import discover


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("query", nargs="?", default="", help="only functions whose name contains this")
    parser.add_argument("--root", help="the project (default: PROJECT_ROOT or the current folder)")


@ending
def run(args: argparse.Namespace) -> int:
    """List the functions; files that cannot be read are named on stderr."""
    root = Path(args.root or os.environ.get("PROJECT_ROOT") or Path.cwd()).absolute()
    if not root.is_dir():
        raise Failed(f"{str(root)!r} is not a folder", "name an existing one", 2)
    found, unread = discover(root, ignore_patterns(root))
    found = [one for one in found if args.query.lower() in one.function.lower()]
    for one in unread:
        print(f"mystic: {plain(one.file)} was left out; {plain(one.reason)}", file=sys.stderr)
    value = {
        "root": str(root),
        "functions": [asdict(one) for one in found],
        "count": len(found),
        "unread": [asdict(one) for one in unread],
    }
    rows = [[one.function, one.kind, f"{one.file}:{one.line}", one.doc[:60]] for one in found]
    text = columns([["FUNCTION", "KIND", "WHERE", "WHAT"], *rows]) if rows else f"no functions found in {root}"
    show(args, value, text)
    return 0


command = Command(
    name="discover",
    help="list the functions of a project from its source",
    example="mystic discover ocr --root ./app",
    configure=configure,
    run=run,
)
