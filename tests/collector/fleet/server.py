"""A real redis-server: on loopback, nothing of it on disk unless asked for, ended with the test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = "redis-server"
PATIENCE = 20.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """One server on one port, which can be killed and begun again."""

    def __init__(self, folder: Path, *options: str) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            pytest.skip(f"{PROGRAM} is not installed; Debian has it in the package of that name")
        self.port = free_port()
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += ["--save", "", *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.password = options[options.index("--requirepass") + 1] if "--requirepass" in options else ""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            ended = self._process.poll() is not None or time.monotonic() > deadline
            assert not ended, f"{PROGRAM} does not come up"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once; what it has not on disk is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def stop_answering(self) -> None:
        """Let it be there and answer nobody."""
        assert self._process is not None
        self._process.send_signal(19)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(18)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as asked:
                asked.sendall(b"PING\r\n")
                return asked.recv(7)[:1] in (b"+", b"-")
        except OSError:
            return False
