"""An image that the engine has to bring first: how far it is, to programs and to somebody who watches."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from ..conftest import Running, until
from .engine import client
from .managing import clean, left, managing
from .registry import Registry, registry


@pytest.fixture
def slow() -> Iterator[Registry]:
    """A registry that the engine pulls from; what it pulled is removed."""
    if os.environ.get("DOCKER_HOST", "unix://").partition(":")[0] != "unix":
        pytest.skip("DOCKER_HOST is another machine's engine: it cannot pull from loopback here")
    client()
    with registry() as found:
        yield found
    with contextlib.suppress(ImageNotFound):
        client().images.remove(found.reference, force=True)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Running]:
    with managing(tmp_path) as found:
        yield found
    try:
        assert left(tmp_path) == []
    finally:
        clean(tmp_path)


def test_progress_of_a_pull_is_told_until_the_image_is_there(collector: Running, slow: Registry) -> None:
    body = {"name": "pulled", "server_type": "docker", "image": slow.reference, "command": ["nothing-to-run"]}
    collector.post("/api/mcp/servers", body, 202)

    def told() -> float:
        found = collector.get("/api/mcp/servers/pulled")
        assert found["state"] == "starting", found
        return float(found["progress"] or 0.0)

    assert 0.0 < until(told, "part of the image is there") < 1.0
    detail = collector.get("/api/mcp/servers/pulled")["detail"]
    assert detail.startswith(f"pulling the image {slow.reference}, ")
    assert detail.endswith("%")
    slow.rest.set()
    found = until(lambda: _settled(collector, "pulled"), "it has settled")
    assert (found["state"], found["cause"], found["progress"]) == ("failed", "program", None), found
    assert "nothing-to-run" in found["detail"], "the image came; it has nothing to run"
    collector.client.delete("/api/mcp/servers/pulled")


def test_a_server_can_be_stopped_while_its_image_is_pulled(collector: Running, slow: Registry) -> None:
    body = {"name": "pulled", "server_type": "docker", "image": slow.reference}
    collector.post("/api/mcp/servers", body, 202)
    until(lambda: collector.get("/api/mcp/servers/pulled")["progress"], "part of the image is there")
    slow.rest.set()
    assert collector.client.delete("/api/mcp/servers/pulled").json()["state"] == "stopped"
    assert collector.get("/api/mcp/servers")["count"] == 0


def test_somebody_who_watches_a_terminal_sees_the_pull(collector: Running, slow: Registry) -> None:
    ours, theirs = pty.openpty()
    words = [
        "servers",
        "start",
        "watched",
        "--type",
        "docker",
        "--image",
        slow.reference,
        "--command",
        "nothing-to-run",
    ]
    environ = {**os.environ, "MYSTIC_PORT": str(collector.server.address[1])}
    told = b""
    with subprocess.Popen(
        [sys.executable, "-m", "mystic_agent.cli", *words], env=environ, stderr=theirs, stdout=subprocess.PIPE
    ) as started:
        os.close(theirs)
        try:
            while b"%" not in told:
                told += os.read(ours, 4096)
            slow.rest.set()
            with contextlib.suppress(OSError):  # the terminal has gone with the command
                while more := os.read(ours, 4096):
                    told += more
        finally:
            os.close(ours)
    assert f"pulling the image {slow.reference}".encode() in told
    assert b"did not start" in told
    assert started.returncode == 1
    collector.client.delete("/api/mcp/servers/watched")


def _settled(collector: Running, name: str) -> dict[str, object] | None:
    found: dict[str, object] = collector.get(f"/api/mcp/servers/{name}", wait=5)
    return found if found["state"] != "starting" else None
