"""``mystic container``: what an image of ours does, by MYSTIC_MODE, by its arguments, or by where the collector is."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from mystic_agent.cli.command import Command
from mystic_agent.contract.errors import Invalid

from mystic_collector.commands.connection import ANYWHERE
from mystic_collector.commands.ending import Failed, ending
from mystic_collector.security import LOCAL

MODES = {"server": "serve", "mcp": "mcp", "sidecar": "mcp-sidecar", "injector": "injector"}
"""MYSTIC_MODE to the command that serves it."""
OWN = ("run", "doctor", "explain", "config", "version")
"""Commands that come with the agent; the collector's are entry points."""


def chosen(
    words: Sequence[str], environ: Mapping[str, str], commands: frozenset[str], program: Sequence[str]
) -> list[str]:
    """Return the argument vector that a container becomes.

    Args:
        words: what follows the image's name: a command of ours with its arguments, another program, or nothing.
        environ: MYSTIC_MODE, and MYSTIC_HOST: a container without a mode is the server, but where MYSTIC_HOST names
            another machine it is the chat on standard input and output, which is how chat clients start one.
        commands: names of our commands.
        program: what runs one of them.

    Raises:
        Invalid: for an unknown mode.
    """
    if words:
        ours = words[0] in commands or words[0].startswith("-")
        return [*program, *words] if ours else list(words)
    return [*program, MODES[mode(environ)]]


def mode(environ: Mapping[str, str]) -> str:
    """Return the mode of a container that is given no command: one of MODES.

    Raises:
        Invalid: for an unknown mode.
    """
    given = environ.get("MYSTIC_MODE", "").strip().lower()
    if given in MODES:
        return given
    if given:
        raise Invalid("MYSTIC_MODE", given, f"give one of {', '.join(MODES)}, or leave it unset")
    host = environ.get("MYSTIC_HOST", "").strip().lower()
    return "server" if host in ("", *LOCAL, *ANYWHERE) else "mcp"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="a command of mystic, or another program")


@ending
def run(args: argparse.Namespace) -> int:
    """Become the chosen program; this process is replaced, so that it gets the signals."""
    known = frozenset((*OWN, *entry_points(group="mystic.commands").names))
    argv = chosen(args.words, os.environ, known, (sys.executable, "-P", "-m", "mystic_agent.cli"))
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the caller's own command, no shell
    except OSError as error:
        raise Failed(f"{argv[0]!r} cannot be run: {error.strerror}", "see 'mystic --help' for the commands") from error


command = Command(
    name="container",
    help="do what a container of the image is for (MYSTIC_MODE: server, mcp, sidecar, injector)",
    example="mystic container -- serve --port 8899",
    configure=configure,
    run=run,
)
