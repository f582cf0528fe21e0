"""A real collector that manages servers in a real Docker engine or cluster, and what it left there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mystic_collector.servers.docker.container import OWNER

from ..conftest import Running, running
from .cluster import TOKEN, Home, KubernetesLaboratory
from .contract import PATIENCE
from .engine import client, image

PROBE = {"server_type": "docker", "command": ["python", "/opt/probe.py"]}


@contextmanager
def managing(folder: Path, **changes: Any) -> Iterator[Running]:
    """Run a collector whose package servers run in the test's image; afterwards nothing of it may be left."""
    with running(folder, servers="docker", servers_images=_images(), **changes) as found:
        found.client.timeout = PATIENCE
        yield found


@contextmanager
def managing_pods(folder: Path, home: Home) -> Iterator[Running]:
    """Run a collector with a sidecar beside it; afterwards no pod of it may be left."""
    KubernetesLaboratory.home = home
    laboratory = KubernetesLaboratory(folder, folder)
    laboratory.open(images=_images())
    assert laboratory.beside is not None
    try:
        with running(folder, servers="sidecar", sidecar_url=laboratory.beside.url, sidecar_token=TOKEN) as found:
            found.client.timeout = PATIENCE
            yield found
        assert laboratory.left() == []
    finally:
        laboratory.beside.stop()
        laboratory.remove()


def _images() -> dict[str, str]:
    """Return what package servers run in."""
    return dict.fromkeys(("npx", "uv", "python"), image())


def owner(folder: Path) -> str:
    return (folder / "data" / "servers.id").read_text().strip()


def left(folder: Path) -> list[str]:
    wanted = {"label": f"{OWNER}={owner(folder)}"}
    found = [one.name for one in client().containers.list(all=True, filters=wanted, ignore_removed=True)]
    return found + [one.name for one in client().networks.list(filters=wanted)]


def clean(folder: Path) -> None:
    """Take away what a failed test left; nothing where no collector had begun."""
    if not (folder / "data" / "servers.id").exists():
        return
    wanted = {"label": f"{OWNER}={owner(folder)}"}
    for one in client().containers.list(all=True, filters=wanted, ignore_removed=True):
        one.remove(force=True, v=True)
    for network in client().networks.list(filters=wanted):
        network.remove()


def started(collector: Running, name: str, **fields: Any) -> Any:
    """Start a server and return it once it runs."""
    collector.post("/api/mcp/servers", {"name": name, **fields}, 202)
    deadline = time.monotonic() + PATIENCE
    while (found := collector.get(f"/api/mcp/servers/{name}", wait=20))["state"] == "starting":
        assert time.monotonic() < deadline, found
    assert found["state"] == "running", found
    return found
