"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

PEERS = ("opentelemetry-sdk", "ddtrace", "logfire", "wrapt", "fastapi", "uvicorn")
CACHES = ("cachetools", "cashews", "aiocache", "diskcache", "redis")


def facts() -> dict[str, str]:
    """Return what a reader needs to judge the figures."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "load": " ".join(f"{one:.1f}" for one in os.getloadavg()),
        **{name: version(name) for name in PEERS + CACHES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )
