"""``mystic init``: write ``.mystic/config.json`` into the project."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mystic_agent.cli.command import Command
from mystic_agent.contract.hijack import read_text

from mystic_collector.commands.ending import Failed, ending, show
from mystic_collector.discovery.config import write_config


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("folder", nargs="?", help="the project (default: PROJECT_ROOT or the current folder)")
    parser.add_argument("--name", default="", help="the project's name (default: the folder's)")


@ending
def run(args: argparse.Namespace) -> int:
    """Write the file unless it is there."""
    root = Path(args.folder or os.environ.get("PROJECT_ROOT") or Path.cwd()).absolute()
    if not root.is_dir():
        raise Failed(f"{str(root)!r} is not a folder", "name an existing one", 2)
    path, written = write_config(root, read_text(args.name, "--name", 100))
    text = f"wrote {path}" if written else f"{path} is there already; it was left as it is"
    show(args, {"path": str(path), "written": written}, text)
    return 0


command = Command(
    name="init",
    help="write .mystic/config.json into a project",
    example="mystic init --name shop",
    configure=configure,
    run=run,
)
