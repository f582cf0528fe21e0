"""What it costs to be there: time and memory of an empty program, and of a web application up to its first request."""

from __future__ import annotations

import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench import ways
from bench.figure import Figure, Target
from bench.process import MEASURED, RESIDENT, megabytes, serving
from bench.settings import SHOP
from bench.ways import Way

ROUNDS, SERVED_ROUNDS = 9, 3
LONGEST_SECONDS = 60
EMPTY = "Start of an empty program, added over bare Python"
SERVED = "Start of a FastAPI application up to its first reply, added"
MATCHING, DISABLED = "Mystic, a project module is imported", "Mystic, MYSTIC_ENABLED=false"
THIRD = Target(0.333, "× opentelemetry-instrument")
OVER_BARE, OVER_FASTAPI = Target(20, "MB"), Target(8, "MB")


def figures() -> list[Figure]:
    """Measure; wall time in milliseconds and resident memory in MB, over bare."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "project.py").write_text("def f(a, b):\n    return a + b\n")
        empty = _empty(Path(folder))
    return _shown(EMPTY, empty, OVER_BARE) + _shown(SERVED, _served(), OVER_FASTAPI)


def _shown(title: str, taken: dict[str, tuple[float, float]], memory: Target) -> list[Figure]:
    bare_ms, bare_mb = taken.pop(ways.BARE)
    ours = (ways.OURS, MATCHING)
    base = taken[ways.OTEL][0] - bare_ms
    found = [Figure(title, "bare", bare_ms, "ms", note="itself")]
    for name, (ms, _) in taken.items():
        added = ms - bare_ms
        third = THIRD if name in ours and title == EMPTY else None
        found.append(Figure(title, name, added, "ms", third, added / base, "× opentelemetry-instrument"))
    found.append(Figure(title, "bare", bare_mb, "MB", note="itself, memory"))
    for name, (_, mb) in taken.items():
        found.append(Figure(title, name, mb - bare_mb, "MB", memory if name in ours else None))
    return found


def _empty(root: Path) -> dict[str, tuple[float, float]]:
    """Return (ms, MB) by name, medians of runs in turn."""
    project = f"import project\n{RESIDENT}"
    logfire = f"import logfire; logfire.configure()\n{RESIDENT}"
    programs: list[tuple[Way, str]] = [
        (ways.bare(), RESIDENT),
        (ways.mystic(root=root), RESIDENT),
        (ways.mystic(MATCHING, root=root), project),
        (ways.mystic(DISABLED, root=root, MYSTIC_ENABLED="false"), RESIDENT),
        *((_lean(way), logfire if way.name == ways.LOGFIRE else RESIDENT) for way in ways.peers()),
    ]
    taken: dict[str, list[tuple[float, float]]] = {way.name: [] for way, _ in programs}
    for _ in range(ROUNDS + 1):
        for way, program in programs:
            began = time.perf_counter()
            command = way._replace(after=()).command("-c", program)
            done = subprocess.run(
                command, env=way.env, cwd=root, capture_output=True, text=True, check=True, timeout=LONGEST_SECONDS
            )
            ms = (time.perf_counter() - began) * 1000
            taken[way.name].append((ms, megabytes(done.stdout.split()[-1])))
    return {name: _medians(runs[1:]) for name, runs in taken.items()}  # the first run fills the caches


def _lean(way: Way) -> Way:
    """Return ``way`` without the instrumentation for FastAPI, which would import FastAPI into an empty program."""
    return way._replace(env={**way.env, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "fastapi,asgi"})


def _served() -> dict[str, tuple[float, float]]:
    """Return (ms, MB) by name; memory is read after the first reply."""
    taken: dict[str, list[tuple[float, float]]] = {}
    for _ in range(SERVED_ROUNDS):
        for way in (ways.bare(), ways.mystic(), *ways.peers()):
            with ExitStack() as undo:
                began = time.perf_counter()
                server = undo.enter_context(serving(way.command("serve.py"), way.env, SHOP, MEASURED))
                with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/quote/1", timeout=30) as reply:
                    reply.read()
                ms = (time.perf_counter() - began) * 1000
                taken.setdefault(way.name, []).append((ms, server.resident_mb()))
    return {name: _medians(runs) for name, runs in taken.items()}


def _medians(runs: list[tuple[float, float]]) -> tuple[float, float]:
    return median(ms for ms, _ in runs), median(mb for _, mb in runs)
