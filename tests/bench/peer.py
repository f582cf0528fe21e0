"""What asks a collector, a sidecar or an MCP server: one kept connection, and the median of many questions over it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

PATIENCE = 60.0
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "hello", "arguments": {}}}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}


class Peer:
    """One kept connection.

    Attributes:
        address: host and port.
        headers: of every request.

    Args:
        path: of an MCP server.
        token: to be shown with every request.
    """

    def __init__(self, host: str, port: int, path: str = "", token: str = "") -> None:
        self.address = (host, port)
        self._connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        self._path = path
        self.headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if token:
            self.headers["authorization"] = f"Bearer {token}"

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


def each(ask: Callable[[], object], times: int) -> float:
    """Return the median of seconds, after a tenth of as many that do not count."""
    taken = []
    for number in range(-times // 10, times):
        began = time.perf_counter()
        ask()
        if number >= 0:
            taken.append(time.perf_counter() - began)
    return median(taken)
