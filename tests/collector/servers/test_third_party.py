"""Servers of other people, started by their package's name and called by somebody else's client."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import Any

import pytest

from ..conftest import Running
from .managing import started

EVERYTHING = {"server_type": "npx", "package": "@modelcontextprotocol/server-everything"}
SERVERS: dict[str, dict[str, Any]] = {
    "everything": EVERYTHING,
    "everything-http": {**EVERYTHING, "args": ["streamableHttp"], "transport": "http", "port": 3001},
    "everything-sse": {**EVERYTHING, "args": ["sse"], "transport": "sse", "port": 3001},
    "time": {"server_type": "uv", "package": "mcp-server-time"},
    "time-module": {"server_type": "python", "package": "mcp-server-time"},
}
CALLS: dict[str, tuple[str, str, str]] = {
    "everything": ("echo", "message=hello there", "Echo: hello there"),
    "time": ("get_current_time", "timezone=UTC", '"timezone": "UTC"'),
}


@pytest.fixture(scope="module")
def inspector() -> list[str]:
    command = os.environ.get("MYSTIC_TEST_INSPECTOR", "")
    if not command:
        pytest.skip("MYSTIC_TEST_INSPECTOR names no MCP Inspector")
    return shlex.split(command)


@pytest.mark.parametrize("name", list(SERVERS))
def test_a_third_party_server_is_started_called_by_the_inspector_and_stopped(
    collector: Running, inspector: list[str], name: str, mode: str
) -> None:
    assert started(collector, name, **SERVERS[name])["mode"] == mode
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
