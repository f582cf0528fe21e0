"""A real collector, a real service under a real server, and the command line between them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BOOTSTRAP = ROOT / "sitecustomize" / "mystic_bootstrap"
BIN = Path(sys.executable).parent
PATIENCE = 40.0

APPLICATION = """
import json, os

runs = 0

def price(item, quantity=1):
    global runs
    runs += 1
    return {"item": item, "total": quantity * 3, "run": runs}

def tags(item):
    yield item

def app(environ, start_response):
    query = dict(p.split("=") for p in environ.get("QUERY_STRING", "").split("&") if p)
    body = json.dumps({"pid": os.getpid(), **price(query.get("item", "pen"))}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


def until(found: Callable[[], Any], what: str) -> Any:
    """Return the first true value of ``found``."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what} did not come about in {PATIENCE:.0f} s"
        time.sleep(0.02)
    return value


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without anything of Mystic's or OpenTelemetry's own, plus ``more``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MYSTIC_", "OTEL_", "PYTHONPATH", "PROJECT_ROOT"))}
    return {**kept, **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """True when somebody takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def running(*command: object, log: Path, cwd: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of this test and end it, with what it started, afterwards."""
    with log.open("ab") as output:
        process = subprocess.Popen([str(c) for c in command], stdout=output, stderr=output, cwd=cwd, env=env)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def request(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return (status, JSON) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(
            method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


class Lab:
    """One collector and the services that a test starts beside it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.port = free_port()
        self.log = folder / "log.txt"
        (folder / "shop.py").write_text(APPLICATION)
        self._collector: contextlib.ExitStack | None = None

    def environment(self, **more: str) -> dict[str, str]:
        own = {
            "MYSTIC_PORT": str(self.port),
            "PROJECT_ROOT": str(self.folder),
            "MYSTIC_SERVICE": "shop",
            "MYSTIC_EXPORT_INTERVAL": "0.2",
        }
        return clean_environment(**{**own, **more})

    def start_collector(self, **more: str) -> None:
        self._collector = contextlib.ExitStack()
        self.collector = self._collector.enter_context(
            running(BIN / "mystic", "serve", log=self.log, cwd=self.folder, env=self.environment(**more))
        )
        self.stack.push(self._collector)
        until(lambda: self.answers(self.port, "/health"), "the collector")

    def stop_collector(self) -> None:
        assert self._collector is not None
        self._collector.close()

    def answers(self, port: int, path: str) -> bool:
        try:
            return request(port, "GET", path)[0] == 200
        except OSError:
            return False

    def serve(self, *prefix: object, workers: int = 2, **env: str) -> int:
        """Start the application under gunicorn; return its port."""
        port = free_port()
        command = (*prefix, BIN / "python", "-m", "gunicorn", "-w", workers, "-b", f"127.0.0.1:{port}", "shop:app")
        self.stack.enter_context(running(*command, log=self.log, cwd=self.folder, env=self.environment(**env)))
        until(lambda: listens(port), "the application")
        return port

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return request(self.port, method, path, body)

    def count(self, function: str) -> int:
        found = [f for f in self.api("GET", "/api/metrics?limit=500")[1]["functions"] if f["name"] == function]
        return int(found[0]["call_count"]) if found else 0

    def mystic(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "mystic"), *words],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment(),
            timeout=PATIENCE,
        )

    def processes(self) -> int:
        listed = self.api("GET", "/api/status")[1]["processes"]
        # The master of the workers has none of its own: what hijacks name is pending there for ever.
        return sum(1 for p in listed if p["connected"] and set(p["functions"]) - {"pending"})
