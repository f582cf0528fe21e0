"""A redis server of the bench's own: on loopback, in memory only, ended with the bench."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.process import BESIDE, pinned

PROGRAM = "redis-server"
PATIENCE = 10.0


@contextmanager
def served(folder: str) -> Iterator[int]:
    """Run it on the core beside; yield its port, or 0 when the program is not installed.

    Raises:
        RuntimeError: when it does not begin to answer.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        yield 0
        return
    port = _free()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder]
    with subprocess.Popen([*pinned(BESIDE), program, *options], stdout=subprocess.DEVNULL) as process:
        try:
            _await(process, port)
            yield port
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as asked:
            asked.sendall(b"PING\r\n")
            if asked.recv(7) == b"+PONG\r\n":
                return
        time.sleep(0.01)
    raise RuntimeError(f"{PROGRAM} did not begin to answer within {PATIENCE:g} s")
