"""Web servers under the agent, asked over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WSGI = """
    import os

    def view(environ):
        return str(os.getpid())

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [view(environ).encode()]
"""


class Server:
    """A web server under the agent."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def ask(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read().decode()
        finally:
            connection.close()

    def ask_patiently(self) -> str:
        """Ask again when a worker that is being replaced hangs up before it has taken the request."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.ask()
            except OSError:
                if time.monotonic() > deadline:
                    raise

    def ask_often(self, times: int) -> set[str]:
        """Ask from several threads; return the processes that answered."""
        with ThreadPoolExecutor(8) as pool:
            return set(pool.map(lambda _: self.ask(), range(times)))

    def stop(self) -> None:
        """End it as a service manager does, and every worker with it."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) in (0, -signal.SIGTERM, 30)  # 30 is what uWSGI without a master says
        assert not any(word in self.said() for word in ("mystic:", "Traceback", "Segmentation")), self.said()

    def said(self) -> str:
        """Return what it and its workers have written."""
        return self.log.read_text()


class Servers:
    """Starts servers, and ends what is left of them."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def begin(self, argv: list[str], environ: dict[str, str], folder: Path, wait: bool) -> Server:
        """Start a server whose arguments say PORT where its port belongs; ``wait`` until it takes connections."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = folder / "server.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [word.replace("PORT", str(port)) for word in argv],
                env=environ,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                text=True,
            )
        self.started.append(process)
        deadline = time.monotonic() + 30
        if not wait:
            return Server(process, port, log)
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return Server(process, port, log)
            time.sleep(0.02)
        raise AssertionError(log.read_text())

    def end(self) -> None:
        """Kill every process that a server has left."""
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
