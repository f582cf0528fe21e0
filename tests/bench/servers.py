"""Managed MCP servers: time until one can be spoken to, its status, and what the gateway adds to a call.

In Docker, which needs an engine with a Python image in it, named by MYSTIC_TEST_BASE_IMAGE; and as pods of the cluster
that KUBECONFIG names. What is not there is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

from bench import pods
from bench.figure import Figure
from bench.managed import CODE, KINDS, STARTS, calls, ready, started
from bench.peer import PATIENCE, Peer, each
from bench.process import MEASURED, serving
from bench.settings import PROJECT, clean

STATUSES = 50
TITLE = "Managed MCP servers in Docker, the smallest server"


def figures() -> list[Figure]:
    """Measure; of what is not there nothing, and the reason on stderr."""
    image = os.environ.get("MYSTIC_TEST_BASE_IMAGE", "")
    reason = _absent(image)
    if reason:
        print(f"bench: servers are left out: {reason}", file=sys.stderr)
        return []
    return [*_in_docker(image), *pods.figures(image)]


def _in_docker(image: str) -> list[Figure]:
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


def _starts(api: Peer, image: str) -> list[Figure]:
    """Times to a ready server, beside the engine's own for the same container."""
    with started(api, image, "stdio"):
        pass  # what is imported and made once: SDKs, the network

    def bare() -> float:
        began = time.perf_counter()
        identity = _docker("run", "--detach", "--interactive", image, "python", "-c", CODE, "stdio")
        taken = time.perf_counter() - began
        _docker("rm", "--force", identity)
        return taken

    plain = median(bare() for _ in range(STARTS))
    found = [Figure(TITLE, "docker run --detach, by itself", plain * 1e3, "ms")]
    for kind in KINDS:
        taken = ready(api, image, kind)
        found.append(
            Figure(TITLE, f"{kind}, until it is ready", taken * 1e3, "ms", None, taken / plain, "× docker run")
        )
    return found


def _calls(api: Peer, image: str) -> list[Figure]:
    """Status, and calls through the gateway beside calls of the server itself."""
    with started(api, image, "http") as http_server, started(api, image, "stdio"):
        status = each(lambda: api.ask("GET", "/api/mcp/servers/bench-http"), STATUSES)
        own = json.loads(_docker("inspect", http_server["identity"]))[0]["NetworkSettings"]["Networks"]
        [joined] = own.values()
        direct = Peer(joined["IPAddress"], http_server["spec"]["port"], "/mcp")
        told = Figure(TITLE, "status, asked of the engine each time", status * 1e3, "ms")
        return [told, *calls(TITLE, api, direct)]
