"""What is measured of managed servers whatever runs them: until one is ready, and calls through the gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from bench.figure import Figure
from bench.peer import Peer, each
from bench.settings import HERE

STARTS = 5
CALLS = 300
KINDS = ("stdio", "http")
CODE = (HERE / "mcp_server.py").read_text(encoding="utf-8")


@contextmanager
def started(api: Peer, image: str, kind: str) -> Iterator[dict[str, Any]]:
    """Run the smallest server; yields it once it runs.

    Raises:
        RuntimeError: when it does not.
    """
    spec: dict[str, Any] = {"server_type": "docker", "image": image, "command": ["python"], "args": ["-c", CODE, kind]}
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


def ready(api: Peer, image: str, kind: str) -> float:
    """Return the median of seconds until a server can be spoken to."""

    def once() -> float:
        began = time.perf_counter()
        with started(api, image, kind):
            return time.perf_counter() - began

    return median(once() for _ in range(STARTS))


def calls(title: str, api: Peer, direct: Peer) -> list[Figure]:
    """Return calls through the gateway, of one server of each kind that runs, beside calls of ``direct`` itself."""
    plain = each(direct.call, CALLS)
    found = [Figure(title, "a call of the server itself, http", plain * 1e3, "ms", note=_rate(plain))]
    for kind in KINDS:
        through = Peer(*api.address, f"/servers/bench-{kind}/mcp")
        through.hello()
        taken = each(through.call, CALLS)
        ratio = taken / plain
        note = f"{_rate(taken)}, adds {(taken - plain) * 1e3:.1f} ms"
        found.append(
            Figure(title, f"through the gateway, {kind}", taken * 1e3, "ms", None, ratio, "× itself", note=note)
        )
        through.ask("DELETE", f"/servers/bench-{kind}/mcp")
    return found


def _rate(seconds: float) -> str:
    return f"{1 / seconds:,.0f}/s, one after another"
