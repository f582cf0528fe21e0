"""A collector started beside the application when none answers, and gone soon after it.

It is nobody's child: the application, which takes over our process id, must not find a child it never
started. It is told that id (``--until-pid``) and ends by itself some seconds after the process has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO

from mystic_agent.cli import collector
from mystic_agent.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PATIENCE = 15.0  # seconds for a cold start on a busy machine; usually under one


def ensure(settings: Settings, until_pid: int, clock: Callable[[], float] = time.monotonic) -> str:
    """Start a collector when none answers on this machine.

    Args:
        settings: say where it listens, and the key.
        until_pid: the process whose end is its end.
        clock: seconds, monotonic.

    Returns:
        One line for people about what was started or why not; empty when nothing needed to be.
    """
    if settings.host not in LOOPBACK or collector.healthy(settings):
        return ""
    with _log(settings) as log:
        pid = _detach(_argv(settings, until_pid), log)
        deadline = clock() + PATIENCE
        while _alive(pid) and clock() < deadline:
            if collector.healthy(settings):
                host = f"[{settings.host}]" if ":" in settings.host else settings.host
                return f"collector at http://{host}:{settings.port}, until this command ends"
            time.sleep(0.05)
        log.seek(0)
        said = log.read(4000).decode("utf-8", "replace").strip().splitlines()
    why = said[-1].removeprefix("mystic: ") if said else "it said nothing"
    return f"no collector at {settings.host}:{settings.port} and none could be started ({why}); going on without"


def _argv(settings: Settings, until_pid: int) -> list[str]:
    where = ["--host", settings.host, "--port", str(settings.port)]
    return [sys.executable, "-m", "mystic_agent.cli", "serve", *where, "--until-pid", str(until_pid)]


def _log(settings: Settings) -> IO[bytes]:
    """Open ``.mystic/collector.log`` in the project, or a nameless file where that cannot be written."""
    try:
        if not settings.project_root:
            return tempfile.TemporaryFile()
        folder = os.path.join(settings.project_root, ".mystic")
        os.makedirs(folder, exist_ok=True)
        return open(os.path.join(folder, "collector.log"), "w+b")
    except OSError:
        return tempfile.TemporaryFile()


def _detach(argv: list[str], log: IO[bytes]) -> int:
    """Run ``argv`` in its own session as a child of nobody here, and return its process id; 0 when it did not start."""
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            # An observed collector would report on itself; what agents sign with is none of its business.
            environ = {name: text for name, text in os.environ.items() if not name.startswith("MYSTIC_CACHE_KEY")}
            environ["MYSTIC_ENABLED"] = "false"
            process = subprocess.Popen(  # noqa: S603 - our own program
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environ
            )
            os.write(writing, str(process.pid).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        os.waitpid(middle, 0)
        return int(os.read(reading, 32) or b"0")
    finally:
        os.close(reading)


def _alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        # As process 1 of a container we inherit orphans, and a dead one would look alive.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
