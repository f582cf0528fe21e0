"""Real processes under the real agent, beside a collector."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from .conftest import PATIENCE, until

BOOTSTRAP = Path(__file__).parents[2] / "sitecustomize" / "mystic_bootstrap"


@contextmanager
def application(url: str, folder: Path, source: str) -> Iterator[int]:
    """Run ``source``, which reads a line at its end, under the agent until the block ends; yield its process id."""
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text(source)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "OTEL_"))}
    environ = {
        "PYTHONPATH": str(BOOTSTRAP),
        "MYSTIC_PORT": url.rpartition(":")[2],
        "MYSTIC_SERVICE": "sums",
        "PROJECT_ROOT": str(folder),
    }
    command = [sys.executable, str(folder / "app.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env={**kept, **environ}, cwd=folder)
    try:
        until(lambda: process.pid in connected(url), "the report of the process")
        yield process.pid
    finally:
        process.communicate(b"\n", PATIENCE)
    assert process.returncode == 0


def connected(url: str) -> list[int]:
    """Return the ids of the processes that listen and have reported."""
    processes = httpx.get(f"{url}/api/status", trust_env=False).json()["processes"]
    return [one["pid"] for one in processes if one["connected"]]
