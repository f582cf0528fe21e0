"""Servers of other people as pods, started over the collector's API and called by somebody else's client."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from ..conftest import Running, running
from ..servers.cluster import TOKEN, Beside, Home, KubernetesLaboratory
from ..servers.contract import PATIENCE
from ..servers.engine import image
from ..servers.test_third_party import CALLS, SERVERS, inspector

__all__ = ["inspector"]


@pytest.fixture(scope="module")
def collector(archon: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("third")
    KubernetesLaboratory.home = archon
    laboratory = KubernetesLaboratory(folder, folder)
    images = dict.fromkeys(("npx", "uv", "python"), image())
    laboratory.open(images=images)
    assert laboratory._beside is not None
    beside: Beside = laboratory._beside
    try:
        with running(folder, servers="sidecar", sidecar_url=beside.url, sidecar_token=TOKEN) as found:
            found.client.timeout = PATIENCE
            yield found
    finally:
        beside.stop()
        laboratory._remove()


def started(collector: Running, name: str, **fields: Any) -> None:
    collector.post("/api/mcp/servers", {"name": name, **fields}, 202)
    for _ in range(8):
        found = collector.get(f"/api/mcp/servers/{name}", wait=20)
        if found["state"] != "starting":
            break
    assert found["state"] == "running", (found, collector.get(f"/api/mcp/servers/{name}/logs"))
    assert found["mode"] == "kubernetes"


@pytest.mark.parametrize("name", list(SERVERS))
def test_a_third_party_server_is_a_pod_that_the_inspector_calls(
    collector: Running, inspector: list[str], name: str
) -> None:
    started(collector, name, **SERVERS[name])
    tool, argument, expected = CALLS[name.partition("-")[0]]
    url = f"{collector.url}/servers/{name}/mcp"
    patience = ["--connect-timeout", "90000"]  # packages unpack themselves, at half a core
    asked = [*patience, "--method", "tools/call", "--tool-name", tool, "--tool-arg", argument]
    found = subprocess.run(
        [*inspector, "--cli", url, "--transport", "http", *asked], capture_output=True, text=True, timeout=180
    )
    assert found.returncode == 0, (found.stdout, found.stderr, collector.get(f"/api/mcp/servers/{name}/logs"))
    assert expected in json.loads(found.stdout)["content"][0]["text"]
    assert collector.client.delete(f"/api/mcp/servers/{name}").json()["state"] == "stopped"
