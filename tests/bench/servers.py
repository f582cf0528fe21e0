"""Managed MCP servers in Docker: time until one can be spoken to, its status, and what the gateway adds to a call.

Needs a Docker engine with a Python image in it, named by MYSTIC_TEST_BASE_IMAGE; without either it is left out.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from bench.figure import Figure
from bench.process import MEASURED, serving
from bench.settings import HERE, PROJECT, clean

STARTS = 5
STATUSES = 50
CALLS = 300
PATIENCE = 60.0
TITLE = "Managed MCP servers in Docker, the smallest server"
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hello", "arguments": {}}}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}
_CODE = (HERE / "mcp_server.py").read_text(encoding="utf-8")


def figures() -> list[Figure]:
    """Measure; nothing, and the reason on stderr, where there is no engine."""
    image = os.environ.get("MYSTIC_TEST_BASE_IMAGE", "")
    reason = _absent(image)
    if reason:
        print(f"bench: servers are left out: {reason}", file=sys.stderr)
        return []
    env = clean() | {"PYTHONPATH": str(PROJECT / "tests")}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving([sys.executable, "-m", "bench.collector", f"{folder}/data"], env, PROJECT, MEASURED) as collector,
    ):
        api = Peer("127.0.0.1", collector.port)
        return [*_starts(api, image), *_calls(api, image)]


def _absent(image: str) -> str:
    """Return why nothing can be measured here; empty when it can."""
    if not image:
        return "MYSTIC_TEST_BASE_IMAGE names no image with Python"
    try:
        _docker("image", "inspect", image)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no Docker engine answers, or it has no {image!r} ({type(error).__name__})"
    return ""


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return done.stdout.strip()


class Peer:
    """One kept connection.

    Attributes:
        address: host and port.
        headers: of every request.
    """

    def __init__(self, host: str, port: int, path: str = "") -> None:
        self.address = (host, port)
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        self._path = path
        self.headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of a reply, or its text when it is none.

        Raises:
            RuntimeError: when it is refused.
        """
        self._connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        reply = self._connection.getresponse()
        data = reply.read()
        if reply.status >= 300:
            raise RuntimeError(f"{method} {path} was answered {reply.status}: {data[:200]!r}")
        if identity := reply.getheader("mcp-session-id"):
            self.headers["mcp-session-id"] = identity
        return json.loads(data) if data.startswith(b"{") else data.decode()

    def hello(self) -> None:
        """Open an MCP session."""
        self.ask("POST", self._path, HELLO)
        self.ask("POST", self._path, {"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self) -> None:
        """Call the tool."""
        found = self.ask("POST", self._path, CALL)
        if "hello" not in str(found):
            raise RuntimeError(f"the tool answered {found!r}")


@contextmanager
def _started(api: Peer, image: str, kind: str) -> Iterator[dict[str, Any]]:
    """Run the server; yields it once it runs."""
    spec: dict[str, Any] = {"server_type": "docker", "image": image, "command": ["python"], "args": ["-c", _CODE, kind]}
    name = f"bench-{kind}"
    api.ask("POST", "/api/mcp/servers", {"name": name, "transport": kind, **spec})
    try:
        while (found := api.ask("GET", f"/api/mcp/servers/{name}?wait=20"))["state"] == "starting":
            pass
        if found["state"] != "running":
            raise RuntimeError(f"the server is {found['state']}: {found['detail']}")
        yield found
    finally:
        api.ask("DELETE", f"/api/mcp/servers/{name}")


def _starts(api: Peer, image: str) -> list[Figure]:
    """Times to a ready server, beside the engine's own for the same container."""
    with _started(api, image, "stdio"):
        pass  # what is imported and made once: SDKs, the network

    def bare() -> float:
        began = time.perf_counter()
        identity = _docker("run", "--detach", "--interactive", image, "python", "-c", _CODE, "stdio")
        taken = time.perf_counter() - began
        _docker("rm", "--force", identity)
        return taken

    def ready(kind: str) -> float:
        began = time.perf_counter()
        with _started(api, image, kind):
            return time.perf_counter() - began

    plain = median(bare() for _ in range(STARTS))
    found = [Figure(TITLE, "docker run --detach, by itself", plain * 1e3, "ms")]
    for kind in ("stdio", "http"):
        taken = median(ready(kind) for _ in range(STARTS))
        found.append(
            Figure(TITLE, f"{kind}, until it is ready", taken * 1e3, "ms", None, taken / plain, "× docker run")
        )
    return found


def _calls(api: Peer, image: str) -> list[Figure]:
    """Status, and calls through the gateway beside calls of the server itself."""
    with _started(api, image, "http") as http_server, _started(api, image, "stdio"):
        status = _each(lambda: api.ask("GET", "/api/mcp/servers/bench-http"), STATUSES)
        found = [Figure(TITLE, "status, asked of the engine each time", status * 1e3, "ms")]
        own = json.loads(_docker("inspect", http_server["identity"]))[0]["NetworkSettings"]["Networks"]
        [joined] = own.values()
        direct = Peer(joined["IPAddress"], http_server["spec"]["port"], "/mcp")
        plain = _each(direct.call, CALLS)
        found.append(Figure(TITLE, "a call of the server itself, http", plain * 1e3, "ms", note=_rate(plain)))
        for kind in ("http", "stdio"):
            through = Peer(*api.address, f"/servers/bench-{kind}/mcp")
            through.hello()
            taken = _each(through.call, CALLS)
            ratio = taken / plain
            note = f"{_rate(taken)}, adds {(taken - plain) * 1e3:.1f} ms"
            found.append(
                Figure(TITLE, f"through the gateway, {kind}", taken * 1e3, "ms", None, ratio, "× itself", note=note)
            )
            through.ask("DELETE", f"/servers/bench-{kind}/mcp")
    return found


def _rate(seconds: float) -> str:
    return f"{1 / seconds:,.0f}/s, one after another"


def _each(ask: Callable[[], object], times: int) -> float:
    """Return the median of seconds, after a tenth of as many that do not count."""
    taken = []
    for number in range(-times // 10, times):
        began = time.perf_counter()
        ask()
        if number >= 0:
            taken.append(time.perf_counter() - began)
    return median(taken)
