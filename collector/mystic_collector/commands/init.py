"""``mystic init``: write into a project what it takes to run beside Mystic."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

from mystic_agent.cli.command import Command
from mystic_agent.contract.hijack import read_text

from mystic_collector.commands.ending import Failed, columns, ending, show
from mystic_collector.scaffold.plan import COMPOSE_FILE, plan, project_name
from mystic_collector.scaffold.write import Outcome, write

_HIDDEN = ".mystic/"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("folder", nargs="?", help="the project (default: PROJECT_ROOT or the current folder)")
    parser.add_argument("--name", default="", help="the project's name (default: the folder's)")
    parser.add_argument("--app", default="", help="the Compose service that gets the agent (default: the only one)")
    parser.add_argument("--config-only", action="store_true", help="write .mystic/ alone, nothing for containers")
    parser.add_argument("--force", action="store_true", help="replace files that differ")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")


@ending
def run(args: argparse.Namespace) -> int:
    """Write what is missing; what is there stays, with its difference shown, unless ``--force`` is given."""
    root = Path(args.folder or os.environ.get("PROJECT_ROOT") or Path.cwd()).absolute()
    if not root.is_dir():
        raise Failed(f"{str(root)!r} is not a folder", "name an existing one", 2)
    name = project_name(root, read_text(args.name, "--name", 63))
    planned = plan(root, name=name, app=args.app)
    if args.config_only:
        planned = [one for one in planned if one.path.startswith(_HIDDEN)]
    outcomes = write(root, planned, force=args.force, dry_run=args.dry_run)
    shown = {"root": str(root), "name": name, "dry_run": args.dry_run, "files": [asdict(one) for one in outcomes]}
    show(args, shown, _text(outcomes, args))
    return 0


def _text(outcomes: list[Outcome], args: argparse.Namespace) -> str:
    parts = [columns([[f"would be {one.state}" if args.dry_run else one.state, one.path] for one in outcomes])]
    differences = [one.difference for one in outcomes if one.state == "kept"]
    if differences:
        parts += ["", "What was kept differs from what would be written; --force replaces it:", "", *differences]
    if not args.config_only:
        parts += ["", f"start it: docker compose -f {COMPOSE_FILE} up -d"]
    return "\n".join(parts)


command = Command(
    name="init",
    help="write what a project needs to run beside Mystic: containers, configuration, key, chat",
    example="mystic init --name shop --app web",
    configure=configure,
    run=run,
)
