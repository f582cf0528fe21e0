"""How long a collector lives that was started for the sake of one process."""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger("mystic_collector.lifetime")
LINGER = 3.0
"""Seconds without any stream after which nobody is expected to come (back) with last words."""

_EVERY = 0.5


def outlast(pid: int, streams: Callable[[], int], linger: float = LINGER) -> None:
    """Return when the process ``pid`` has ended and no agent has listened for ``linger`` seconds.

    Args:
        pid: the process; one that has ended and was not waited for by its parent counts as ended.
        streams: how many agents listen now: the process may have left others behind, such as a server's workers.
    """
    wait_for_end(pid)
    told = False
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < linger:
        time.sleep(_EVERY)
        if found := streams():
            quiet_since = time.monotonic()
            if not told:
                _log.info("process %d has ended; staying for %d that still listen", pid, found)
                told = True
    _log.info("process %d has ended and nobody listens: ending", pid)


def wait_for_end(pid: int) -> None:
    """Return when the process has ended, also when it is a zombie."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or a sandbox that does not know the call
        while alive(pid):
            time.sleep(_EVERY)
        return
    try:
        ended = select.poll()
        ended.register(watched, select.POLLIN)
        ended.poll()
    finally:
        os.close(watched)


def alive(pid: int) -> bool:
    """True when the process runs; false for a zombie where the system has ``/proc``."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except FileNotFoundError:
        return not Path("/proc/self").is_dir()  # where there is /proc, it has ended meanwhile
    except (OSError, IndexError):
        return True
