"""The quick start of a project with containers, as the guide says it, for an application that nobody here wrote."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from .engine import COLLECTOR, Project, docker, get, images, needed, running, until
from .shelf import DIGEST, FILES, PAGE, write

COMPOSE = """\
services:
  index:
    build: {{context: ., args: {{BASE_IMAGE: "{base}"}}}}
    ports: ["127.0.0.1:${{APP_PORT}}:7799"]
    init: true
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    images()
    name = f"shelf-{secrets.token_hex(4)}"
    root = tmp_path / name
    write(root)
    (root / "docker-compose.yml").write_text(COMPOSE.format(base=needed("MYSTIC_TEST_BASE_IMAGE", "image")))
    subprocess.run([sys.executable, "-m", "mystic_agent.cli", "init"], cwd=root, check=True, capture_output=True)
    return Project(root, name)


def listing(project: Project) -> bytes:
    """Ask the application for its list of one package's files."""
    return until(lambda: _listing(project), "the application answers")


def _listing(project: Project) -> bytes:
    status, body = get(project.app, PAGE)
    return body if status == 200 else b""


def chat(project: Project, tool: str, **arguments: Any) -> str:
    """Call one tool as Claude Desktop does: with the command that ``mystic init`` has written for it."""
    written = json.loads((project.root / ".mystic/claude_desktop_config.json").read_text())
    server = written["mcpServers"][f"{project.name}-mystic"]
    arguments_of_docker = [*server["args"][:-1], COLLECTOR]

    async def conversation() -> str:
        parameters = StdioServerParameters(command=server["command"], args=arguments_of_docker)
        async with Client(parameters) as client:
            result = await client.call_tool(tool, arguments)
            text = "\n".join(block.text for block in result.content if block.type == "text")
            assert not result.is_error, text
            return text

    return asyncio.run(conversation())


def test_a_project_is_seen_and_changed_from_the_chat_and_the_change_outlives_restarts(project: Project) -> None:
    with running(project):
        before = listing(project)
        assert before.count(b"#sha256=") == FILES
        until(lambda: project.calls(DIGEST) == FILES, "its functions appear with exact counts")

        told = chat(project, "hijack_function", function=DIGEST, strategy="cache", options={"ttl": "30m"})
        assert "attached in 1 of 1 processes" in told
        for _ in range(4):
            assert listing(project) == before, "what the service answers is what it answered"
        until(lambda: project.decisions(DIGEST) == {"miss": FILES, "hit": 3 * FILES}, "calls are answered by the cache")

        project.compose("restart", "--timeout", "3", "index")
        listing(project)
        listing(project)
        # The figures of the first process stay; the second computed once more, because its memory was new.
        wanted = {"miss": 2 * FILES, "hit": 4 * FILES}
        until(lambda: project.decisions(DIGEST) == wanted, "after a restart of the application the change is there")

        assert "mystic" in project.compose("ps", "--services")
        assert "listening on http://0.0.0.0:8899" in project.compose("logs", "mystic")
        assert (
            project.compose("exec", "-T", "mystic", "python", "-c", "import sys; print(len(sys.path) > 1)") == "True\n"
        )
        assert get(project.mystic, "/api/hijacked")[0] == 401, "without the key nobody is answered"
        assert get(project.mystic, "/health")[0] == 200


def test_a_collector_that_is_killed_under_load_comes_back_to_exact_counts(project: Project) -> None:
    with running(project):
        listing(project)
        until(lambda: project.calls(DIGEST) == FILES, "the figures arrive")
        asked, over = [1], threading.Event()

        def load() -> None:
            while not over.is_set():
                assert listing(project).count(b"#sha256=") == FILES
                asked[0] += 1

        user = threading.Thread(target=load)
        user.start()
        try:
            project.compose("kill", "--signal", "KILL", "mystic")
            seen = asked[0]
            until(lambda: asked[0] > seen + 20, "the application goes on while nobody listens")
            project.compose("start", "mystic")
            until(lambda: get(project.mystic, "/health")[0] == 200, "the collector is back")
            seen = asked[0]
            until(lambda: asked[0] > seen + 20, "the application goes on")
        finally:
            over.set()
            user.join(30)
        until(lambda: project.calls(DIGEST) == asked[0] * FILES, "not a call is lost or counted twice")
        limits = docker(
            "inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}", f"{project.name}-mystic-1"
        )
        assert limits == f"{512 * 2**20} {500_000_000}"
