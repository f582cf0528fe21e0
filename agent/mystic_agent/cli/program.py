"""Reads the command line, runs one command, and turns every ending into an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mystic_agent.cli import config, doctor, explain, run, version
from mystic_agent.cli.command import Command
from mystic_agent.cli.extension import Extensions
from mystic_agent.cli.failure import Failure
from mystic_agent.contract.errors import Invalid

OWN = (run.command, explain.command, doctor.command, config.command, version.command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mystic`` with ``argv`` (default: the process's) and return the exit code."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except Invalid as error:
        return _fail(str(error), 2)
    except Failure as error:
        return _fail(str(error), error.code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone: nothing more can be said, and the flush at exit must not say so either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _main(argv: list[str]) -> int:
    extensions = Extensions()
    name = next((word for word in argv if not word.startswith("-")), "")
    commands = {command.name: command for command in OWN}
    if name and name not in commands:
        found = extensions.load(name)
        if found is not None:
            commands[name] = found
    parser = _parser(commands, extensions.summaries() if not name or name not in commands else {})
    args = parser.parse_args(argv)
    if not getattr(args, "run", None):
        parser.print_help()
        return 0
    code: int = args.run(args)
    sys.stdout.flush()
    return code


def _parser(commands: dict[str, Command], others: dict[str, str]) -> argparse.ArgumentParser:
    """Build the parser of ``commands``; ``others`` are only listed, because loading them costs time."""
    parser = _Parser(
        prog="mystic",
        description="See and change what the functions of a running Python service do.",
        epilog="example: mystic run -- python app.py",
    )
    parser.add_argument("--version", action="version", version=version.line())
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=_Parser)
    for command in commands.values():
        child = subparsers.add_parser(
            command.name,
            help=command.help,
            description=command.help,
            epilog=f"example: {command.example}",
            allow_abbrev=False,
        )
        child.add_argument("--format", choices=("text", "json"), default="text", help="output format (default: text)")
        command.configure(child)
        child.set_defaults(run=command.run)
    for name, summary in others.items():
        if name not in commands:
            subparsers.add_parser(name, help=summary)
    return parser


class _Parser(argparse.ArgumentParser):
    """Reports bad usage in the form of every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"mystic: {message}; see '{self.prog} --help'\n")


def _fail(message: str, code: int) -> int:
    print(f"mystic: {message}", file=sys.stderr)
    return code
