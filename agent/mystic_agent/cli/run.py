"""``mystic run -- CMD``: become CMD, with the agent switched on in it and in its children.

The program replaces itself by the command, so that process id, arguments, signals, terminal and exit code
are the command's own by construction.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from typing import NoReturn

import mystic_bootstrap

from mystic_agent.cli import embedded
from mystic_agent.cli.command import Command
from mystic_agent.cli.failure import Failure
from mystic_agent.contract.errors import Invalid
from mystic_agent.settings import load

_FLAGS = {"service": "MYSTIC_SERVICE", "env": "MYSTIC_ENV", "targets": "MYSTIC_TARGETS"}


def child_environment(
    environ: Mapping[str, str], given: Mapping[str, str], bootstrap: str = mystic_bootstrap.FOLDER
) -> dict[str, str]:
    """Return ``environ`` with the agent switched on and the variables ``given`` set; nothing else changes."""
    path = environ.get("PYTHONPATH", "")
    others = [entry for entry in path.split(os.pathsep) if entry and os.path.abspath(entry) != bootstrap]
    return {
        **environ,
        **given,
        "MYSTIC_ENABLED": "true",
        "PYTHONPATH": os.pathsep.join([bootstrap, *others]),
    }


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", help="the service's name (default: MYSTIC_SERVICE, else the project's name)")
    parser.add_argument("--env", metavar="STAGE", help="stage whose strategies are in force (default: development)")
    parser.add_argument("--targets", help="functions to observe, e.g. 'app.*:*' (default: those of the project)")
    parser.add_argument("--no-collector", action="store_true", help="do not start a collector when none answers")
    parser.add_argument("cmd", nargs=argparse.REMAINDER, metavar="-- CMD …", help="the command and its arguments")


def _run(args: argparse.Namespace) -> int:
    cmd = args.cmd[1:] if args.cmd[:1] == ["--"] else args.cmd
    if not cmd:
        raise Failure("no command was given", "write it after --, e.g. 'mystic run -- python app.py'", 2)
    given = {variable: getattr(args, flag) for flag, variable in _FLAGS.items() if getattr(args, flag)}
    settings = load({**os.environ, **given})
    for flag, variable in _FLAGS.items():
        for warning in settings.warnings if variable in given else ():
            if warning.startswith(f"{variable} is "):
                raise Invalid(f"--{flag}", given[variable], warning.partition(": ")[2])
    if shutil.which(cmd[0]) is None and not os.path.exists(cmd[0]):
        raise _not_found(cmd[0])
    if not args.no_collector:
        line = embedded.ensure(settings, os.getpid())
        if line:
            print(f"mystic: {line}", file=sys.stderr)
    _become(cmd, child_environment(os.environ, given))


def _become(cmd: list[str], environ: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these for itself and the command would inherit that.
    for name in ("SIGPIPE", "SIGXFSZ"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvpe(cmd[0], cmd, environ)  # noqa: S606 - running the user's command is the purpose; no shell is between
    except FileNotFoundError:
        raise _not_found(cmd[0]) from None
    except OSError as error:
        hint = f"write 'mystic run -- python {cmd[0]}'" if cmd[0].endswith(".py") else "make it executable"
        raise Failure(f"command {cmd[0]!r} cannot be run ({error.strerror})", hint, 126) from None


def _not_found(name: str) -> Failure:
    return Failure(f"command {name!r} was not found", "check its spelling, or give its path", 127)


command = Command(
    "run",
    "run a command with the agent in it",
    "mystic run --service shop -- python app.py --port 8000",
    _configure,
    _run,
)
