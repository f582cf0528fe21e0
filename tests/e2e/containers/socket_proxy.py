"""A second implementation of the filtering proxy that ``mystic init`` names, which the tests' machine may not have.

It keeps to the same rules (https://github.com/Tecnativa/docker-socket-proxy, haproxy.cfg): a variable is a part of the
API, by the beginning of the path; POST is every method that changes something; the bodies are not looked at. What was
asked for is printed as ``allowed RULE METHOD PATH`` or ``denied METHOD PATH``.
"""

from __future__ import annotations

import os
import re
import socket
import socketserver
import sys
import threading
from collections.abc import Mapping

SOCKET = "/var/run/docker.sock"
PORT = 2375
RULES = (
    "AUTH BUILD COMMIT CONFIGS CONTAINERS DISTRIBUTION EVENTS EXEC GRPC IMAGES INFO NETWORKS NODES PLUGINS SECRETS "
    "SERVICES SESSION SWARM SYSTEM TASKS VERSION VOLUMES"
).split()
_HEAD = b"\r\n\r\n"


def rule_of(path: str) -> str:
    """Return the variable that a path belongs to; empty for none."""
    found = re.match(r"(?:/v[\d.]+)?/(\w+)", path)
    name = found[1].upper() if found else ""
    return "PING" if name == "_PING" else name if name in RULES else ""


def allowed(method: str, path: str, environ: Mapping[str, str]) -> bool:
    """True when the variables let a request pass."""
    changes = method not in ("GET", "HEAD")
    return environ.get(rule_of(path)) == "1" and (not changes or environ.get("POST") == "1")


def say(line: str) -> None:
    """Print a line in one piece: threads do not end one another's."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Connection(socketserver.StreamRequestHandler):
    """One request: whatever else is sent on the connection belongs to it, since both sides are told to close."""

    def handle(self) -> None:
        head = b""
        while _HEAD not in head:
            if not (more := self.connection.recv(65536)):
                return
            head += more
        head, _, rest = head.partition(_HEAD)
        first, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        path = target.partition("?")[0]
        if not allowed(method, path, os.environ):
            say(f"denied {method} {path}")
            self.connection.sendall(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        say(f"allowed {rule_of(path)} {method} {path}")
        if not any(field.lower().startswith("upgrade:") for field in fields):
            fields = [one for one in fields if not one.lower().startswith("connection:")] + ["Connection: close"]
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(SOCKET)
            engine.sendall("\r\n".join([first, *fields]).encode("latin-1") + _HEAD + rest)
            up = threading.Thread(target=_pump, args=(self.connection, engine), daemon=True)
            up.start()
            _pump(engine, self.connection)
            _shut(self.connection, socket.SHUT_RDWR)
            up.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until it ends, and its end."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass  # the other direction has ended the connection
    _shut(sink, socket.SHUT_WR)


def _shut(one: socket.socket, how: int) -> None:
    try:
        one.shutdown(how)
    except OSError:
        pass  # it has gone


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


if __name__ == "__main__":
    with Proxy(("0.0.0.0", PORT), Connection) as proxy:  # inside a container, on an internal network
        proxy.serve_forever()
