"""``mystic serve``: run the collector in the foreground."""

from __future__ import annotations

import argparse
import os
import threading
from typing import TYPE_CHECKING

from mystic_agent.cli.command import Command

from mystic_collector.commands.ending import Failed, ending
from mystic_collector.commands.lifetime import outlast
from mystic_collector.settings import load

if TYPE_CHECKING:
    from mystic_collector.server import CollectorServer


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--host", help="address to bind (default: MYSTIC_HOST or 127.0.0.1)")
    parser.add_argument("--port", help="port to bind, 0 for any (default: MYSTIC_PORT or 8899)")
    parser.add_argument(
        "--until-pid", default="", metavar="PID", help="end soon after this process has ended and no agent listens"
    )


@ending
def run(args: argparse.Namespace) -> int:
    """Serve until a signal, or until the process named by ``--until-pid`` is gone and no agent listens."""
    pid = args.until_pid
    if pid and not (pid.isascii() and pid.isdigit() and 0 < int(pid) < 2**31):
        raise Failed(f"--until-pid is {pid!r}", "give the id of a process, a whole number above 0", 2)
    given = {"MYSTIC_HOST": args.host or "", "MYSTIC_PORT": args.port or ""}
    settings = load({**os.environ, **{name: value for name, value in given.items() if value}})
    # Imported here, so that listing the commands stays quick.
    from mystic_collector.listener import start_logging
    from mystic_collector.server import CollectorServer

    start_logging(settings.log_level)
    server = CollectorServer(settings, alone=True)
    if pid:
        threading.Thread(target=_end_with, args=(server, int(pid)), name="mystic-until", daemon=True).start()
    server.run()
    return 0


def _end_with(server: CollectorServer, pid: int) -> None:
    outlast(pid, lambda: server.parts.streams.count)
    server.should_exit = True


command = Command(
    name="serve",
    help="run the collector in the foreground",
    example="mystic serve --port 8899",
    configure=configure,
    run=run,
)
