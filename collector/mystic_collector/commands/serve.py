"""``mystic serve``: run the collector in the foreground."""

from __future__ import annotations

import argparse
import os
import threading
import time
from typing import Any

from mystic_agent.cli.command import Command

from mystic_collector.commands.ending import ending
from mystic_collector.settings import load

_LINGER = 3.0
"""Seconds a collector outlives the process it was started for, to take its last words."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--host", help="address to bind (default: MYSTIC_HOST or 127.0.0.1)")
    parser.add_argument("--port", help="port to bind, 0 for any (default: MYSTIC_PORT or 8899)")
    parser.add_argument("--until-pid", type=int, default=0, metavar="PID", help="end soon after this process has ended")


@ending
def run(args: argparse.Namespace) -> int:
    """Serve until a signal, or until the process named by ``--until-pid`` is gone."""
    given = {"MYSTIC_HOST": args.host or "", "MYSTIC_PORT": args.port or ""}
    settings = load({**os.environ, **{name: value for name, value in given.items() if value}})
    # Imported here, so that listing the commands stays quick.
    from mystic_collector.server import CollectorServer, start_logging

    start_logging(settings.log_level)
    server = CollectorServer(settings)
    if args.until_pid:
        threading.Thread(target=_end_with, args=(server, args.until_pid), name="mystic-until", daemon=True).start()
    server.run()
    return 0


def _end_with(server: Any, pid: int) -> None:
    while _alive(pid):
        time.sleep(1.0)
    time.sleep(_LINGER)
    server.should_exit = True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


command = Command(
    name="serve",
    help="run the collector in the foreground",
    example="mystic serve --port 8899",
    configure=configure,
    run=run,
)
