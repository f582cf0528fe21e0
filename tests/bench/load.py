"""Asks servers for quotes over keep-alive connections, always the same number under way.

``python -m bench.load`` reads lines ``PORT SECONDS`` and answers each with one line of figures in JSON.
"""

from __future__ import annotations

import json
import socket
import sys
import time

CONNECTIONS = 8
REQUEST = b"GET /quote/42 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n"
SPENT = b"GET /spent HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Connection:
    """One keep-alive connection with one request under way at most."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0

    def ask(self, request: bytes) -> None:
        """Send one request."""
        self.sent = time.perf_counter()
        self.socket.sendall(request)

    def answer(self) -> bytes:
        """Return the body of the reply.

        Raises:
            RuntimeError: when the server closed the connection or did not answer 200.
        """
        held = b""
        while b"\r\n\r\n" not in held:
            held += self._more()
        head, _, body = held.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"the server answered {head[:60]!r}")
        size = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
        while len(body) < size:
            body += self._more()
        return body

    def _more(self) -> bytes:
        got = self.socket.recv(65536)
        if not got:
            raise RuntimeError("the server closed the connection")
        return got


def spent(connection: Connection) -> int:
    """Return the nanoseconds of CPU time the server has used."""
    connection.ask(SPENT)
    return int(json.loads(connection.answer())["cpu_ns"])


def load(connections: list[Connection], seconds: float) -> dict[str, float]:
    """Load the server; return requests a second, CPU microseconds a request and the 99th percentile in ms."""
    before, began, waited = spent(connections[0]), time.perf_counter(), []
    for one in connections:
        one.ask(REQUEST)
    while time.perf_counter() - began < seconds:
        for one in connections:
            one.answer()
            waited.append(time.perf_counter() - one.sent)
            one.ask(REQUEST)
    for one in connections:
        one.answer()
        waited.append(time.perf_counter() - one.sent)
    elapsed, used = time.perf_counter() - began, spent(connections[0]) - before
    waited.sort()
    return {
        "per_second": len(waited) / elapsed,
        "cpu_us": used / len(waited) / 1000,
        "p99_ms": waited[len(waited) * 99 // 100] * 1000,
    }


def main() -> None:
    """Serve the lines of standard input; connections to a server are made once."""
    known: dict[int, list[Connection]] = {}
    for line in sys.stdin:
        port, seconds = line.split()
        connections = known.setdefault(int(port), [])
        while len(connections) < CONNECTIONS:
            connections.append(Connection(int(port)))
        print(json.dumps(load(connections, float(seconds))), flush=True)


if __name__ == "__main__":
    main()
