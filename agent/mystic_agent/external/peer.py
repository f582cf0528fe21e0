"""How the other side is called, and what it seems to speak. Pure."""

from __future__ import annotations

import os
from typing import Any

from mystic_agent.contract.pattern import pattern
from mystic_agent.redact import clean, cut

LONGEST = 200
PORTS = {
    21: "ftp", 22: "ssh", 25: "smtp", 53: "dns", 80: "http", 110: "pop3", 143: "imap", 389: "ldap", 443: "https",
    465: "smtp", 587: "smtp", 636: "ldap", 993: "imap", 1433: "mssql", 1521: "oracle", 1883: "mqtt", 2181: "zookeeper",
    2379: "etcd", 3306: "mysql", 5432: "postgresql", 5671: "amqp", 5672: "amqp", 6379: "redis", 8080: "http",
    8086: "influxdb", 8125: "statsd", 8443: "https", 9042: "cassandra", 9092: "kafka", 9200: "elasticsearch",
    11211: "memcached", 27017: "mongodb",
}  # fmt: skip
_HTTP = pattern(rb"(?:GET|POST|PUT|HEAD|DELETE|PATCH|OPTIONS|CONNECT|TRACE) \S|PRI \* HTTP/2")
_REDIS = pattern(rb"\*\d{1,5}\r\n\$\d")


def peer(address: Any, names: dict[str, str]) -> tuple[str, int]:
    """Return (how the peer is called, its port or 0).

    Args:
        address: as given to ``connect``: (host, port, …), a path, or bytes.
        names: numeric address → the name it was looked up by.
    """
    if type(address) is tuple and len(address) >= 2 and type(address[0]) is str and type(address[1]) is int:
        host = names.get(address[0], address[0])
        shown = f"[{host}]" if ":" in host else host
        return cut(clean(f"{shown}:{address[1]}"), LONGEST), address[1]
    if type(address) in (str, bytes):
        path = address if type(address) is str else address.decode("utf-8", "replace")
        return cut(clean(f"unix:{path}"), LONGEST), 0
    return "(unknown)", 0


def protocol(port: int, first: bytes) -> str:
    """Return what is probably spoken, from the first bytes sent and the port; empty when neither tells."""
    if _HTTP.match(first):
        return "https" if PORTS.get(port) == "https" else "http"
    if _REDIS.match(first):
        return "redis"
    if first[:2] == b"\x16\x03":
        return PORTS.get(port, "tls")
    return PORTS.get(port, "")


def program(args: Any, shell: bool) -> str:
    """Return the name of the program that ``subprocess`` is asked to run; never its arguments, which may be secrets."""
    first = args
    if type(args) in (list, tuple):
        first = args[0] if args else ""
    if type(first) is bytes:
        first = first.decode("utf-8", "replace")
    if type(first).__module__.startswith("pathlib"):  # never a foreign type's own __fspath__
        first = os.fspath(first)
    if type(first) is not str:
        return "(unknown)"
    words = first.split() if shell else [first]
    return cut(clean(words[0].rpartition("/")[2]), LONGEST) if words and words[0] else "(unknown)"
