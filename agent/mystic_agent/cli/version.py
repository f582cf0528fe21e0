"""``mystic version`` and ``mystic --version``."""

from __future__ import annotations

import argparse
import platform

from mystic_agent import __version__
from mystic_agent.cli.command import Command
from mystic_agent.cli.output import show


def line() -> str:
    """Return the version of the package and of the Python it runs on."""
    return f"mystic {__version__} (Python {platform.python_version()})"


def _run(args: argparse.Namespace) -> int:
    show({"mystic": __version__, "python": platform.python_version()}, line(), args.format)
    return 0


command = Command("version", "show the version", "mystic version --format json", lambda parser: None, _run)
