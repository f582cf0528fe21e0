"""Managed MCP servers of a collector that is a container itself: reached by its gateway, over the socket or a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import yaml
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from . import socket_proxy
from .engine import COLLECTOR, PATIENCE, Project, docker, free_port, get, images, running, until

CODE = """\
import socket, sys
from mcp.server import MCPServer
server = MCPServer("inner")
@server.tool()
def echo(text: str) -> str:
    return text
@server.tool()
def reach(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        return False
    return True
kind = sys.argv[1]
server.run(kind, **({} if kind == "stdio" else {"host": "0.0.0.0", "port": 8000}))
"""
SERVER = {"server_type": "docker", "image": COLLECTOR, "command": ["python"]}
LISTENS = {**SERVER, "args": ["-c", CODE, "streamable-http"], "transport": "http", "port": 8000}
SPEAKS = {**SERVER, "args": ["-c", CODE, "stdio"]}
OWNER = "io.gnosis-mystic.owner"


class Managing:
    """What is asked of a collector behind a published port."""

    def __init__(self, port: int, key: str = "") -> None:
        self.port = port
        self._headers = {"X-Mystic-Key": key} if key else {}
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        found = httpx.request(method, f"{self._url}{path}", json=body, headers=self._headers, timeout=PATIENCE)
        assert found.status_code == status, found.text
        return found.json()

    def start(self, name: str, **fields: Any) -> dict[str, Any]:
        """Start a server and return it once it no longer starts."""
        self.ask("POST", "/api/mcp/servers", {"name": name, **fields}, 202)
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        def found() -> Any:
            one = self.ask("GET", f"/api/mcp/servers/{name}?wait=10")
            return one if one["state"] != "starting" else None

        settled: dict[str, Any] = until(found, f"{name} has settled", 2 * PATIENCE)
        return settled

    def execute(self, name: str, tool: str, **arguments: Any) -> str:
        found = self.ask("POST", f"/api/mcp/servers/{name}/execute", {"tool": tool, "arguments": arguments})
        return str(found["content"][0]["text"])

    def spoken(self, name: str, sessions: int = 1) -> list[str]:
        """Return what a server echoes to as many clients of its gateway at the same time."""

        async def conversation() -> list[str]:
            async with contextlib.AsyncExitStack() as stack:
                clients = []
                for _ in range(sessions):
                    http = await stack.enter_async_context(httpx2.AsyncClient(headers=self._headers, timeout=PATIENCE))
                    transport = streamable_http_client(f"{self._url}/servers/{name}/mcp", http_client=http)
                    clients.append(await stack.enter_async_context(Client(transport, mode="legacy")))
                asked = (client.call_tool("echo", {"text": str(number)}) for number, client in enumerate(clients))
                return [one.content[0].text for one in await asyncio.gather(*asked)]  # type: ignore[union-attr]

        return asyncio.run(conversation())


def gone(owner: str) -> list[str]:
    """Take away what a collector's servers have left; return what that was."""
    wanted = ("--filter", f"label={OWNER}={owner}", "--quiet")
    containers = docker("ps", "--all", *wanted).split()
    if containers:
        docker("rm", "--force", *containers, check=False)
    networks = docker("network", "ls", *wanted).split()
    if networks:
        docker("network", "rm", *networks, check=False)
    return containers + networks


@contextlib.contextmanager
def collector(folder: Path, name: str) -> Iterator[Managing]:
    """Run the collector's image with the engine's socket in it, as somebody does who opts in."""
    port = free_port()
    group = os.stat(socket_proxy.SOCKET).st_gid
    published = ("--publish", f"127.0.0.1:{port}:8899", "--network", name, "--volume", f"{folder}:/data")
    opted_in = ("--volume", f"{socket_proxy.SOCKET}:{socket_proxy.SOCKET}", "--group-add", str(group))
    environ = ("--env", "MYSTIC_HOST=0.0.0.0", "--env", "MYSTIC_MODE=server", "--env", "PROJECT_ROOT=/data")
    docker("run", "--detach", "--name", name, *published, *opted_in, *environ, COLLECTOR)
    try:
        until(lambda: get(port, "/health")[0] == 200, "the collector answers")
        yield Managing(port)
    except BaseException:
        print(docker("logs", "--tail", "50", name, check=False))
        raise
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that a container may write to, and a network."""
    images()
    if not os.path.exists(socket_proxy.SOCKET):
        pytest.skip(f"{socket_proxy.SOCKET} is not there to be mounted")
    folder, name = tmp_path / "data", f"mystic-managing-{secrets.token_hex(4)}"
    folder.mkdir()
    folder.chmod(0o777)
    docker("network", "create", name)
    try:
        yield folder, name
    finally:
        left = gone((folder / "servers.id").read_text().strip()) if (folder / "servers.id").exists() else []
        docker("network", "rm", name)
        shutil.rmtree(folder)
    assert left == []


def test_a_collector_in_a_container_reaches_its_servers_and_so_does_the_next_one(place: tuple[Path, str]) -> None:
    folder, name = place
    with collector(folder, name) as managing:
        assert managing.start("near", **LISTENS)["state"] == "running"
        assert managing.start("inner", **SPEAKS)["state"] == "running"
        assert managing.spoken("near", 2) == ["0", "1"]
        assert managing.spoken("inner", 2) == ["0", "1"]
        # A stdio server has no need of the collector's company: it reaches neither it nor those that listen.
        inspected = json.loads(docker("inspect", managing.ask("GET", "/api/mcp/servers/near")["identity"]))[0]
        [joined] = inspected["NetworkSettings"]["Networks"].values()
        assert managing.execute("near", "reach", host=joined["IPAddress"], port=8000) == "true"
        assert managing.execute("inner", "reach", host=joined["IPAddress"], port=8000) == "false"
    with collector(folder, name) as managing:
        assert [one["state"] for one in managing.ask("GET", "/api/mcp/servers")["servers"]] == ["running", "running"]
        assert managing.spoken("near") == ["0"], "the collector's new container has joined them"
        for server in ("near", "inner"):
            assert managing.ask("DELETE", f"/api/mcp/servers/{server}")["state"] == "stopped"


APPLICATION = {
    "image": COLLECTOR,
    "entrypoint": ["python", "-c", "import signal; signal.pause()"],
    "init": True,
    "healthcheck": {"disable": True},
}
PROXY = {
    "image": COLLECTOR,
    "entrypoint": ["python", "/proxy.py"],
    "user": "0:0",
    "init": True,
    "volumes": ["./proxy.py:/proxy.py:ro"],
    "healthcheck": {"disable": True},
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project as ``mystic init`` writes it, with the profile ``servers`` and a proxy of the tests' own."""
    images()
    name = f"managing-{secrets.token_hex(4)}"
    root = tmp_path / name
    root.mkdir()
    (root / "docker-compose.yml").write_text(yaml.safe_dump({"services": {"app": APPLICATION}}))
    subprocess.run([sys.executable, "-m", "mystic_agent.cli", "init"], cwd=root, check=True, capture_output=True)
    shutil.copy(socket_proxy.__file__, root / "proxy.py")
    (root / "proxy.yml").write_text(yaml.safe_dump({"services": {"mystic-docker": PROXY}}))
    found = Project(root, name)
    found.files.append("proxy.yml")
    found.environ |= {"COMPOSE_PROFILES": "servers", "MYSTIC_DOCKER_HOST": "tcp://mystic-docker:2375"}
    return found


def test_the_proxy_of_the_profile_lets_through_what_servers_take_and_no_more(project: Project) -> None:
    with running(project):
        owner = ""
        try:
            managing = Managing(project.mystic, project.key)
            assert managing.ask("GET", "/api/mcp/health")["mode"] == "docker"
            assert managing.start("near", **LISTENS)["state"] == "running"
            assert managing.start("inner", **SPEAKS)["state"] == "running"
            owner = project.compose("exec", "-T", "mystic", "cat", "/data/servers.id").strip()
            assert managing.spoken("near") == ["0"]
            assert managing.spoken("inner", 2) == ["0", "1"]
            absent = managing.start("absent", server_type="docker", image="mystic.invalid/x:1")
            assert (absent["state"], "registry cannot be reached" in absent["detail"]) == ("failed", True)
            managing.ask("DELETE", "/api/mcp/servers/absent")
            managing.ask("GET", "/api/mcp/servers/near/logs")
            managing.ask("POST", "/api/mcp/servers/inner/restart", {}, 202)
            assert managing.settled("inner")["state"] == "running"

            project.compose("up", "-d", "--wait", "--force-recreate", "--no-deps", "mystic")
            assert managing.spoken("near") == ["0"], "it is found again, and reached"
            assert managing.execute("inner", "echo", text="back") == "back"
            for server in ("near", "inner"):
                assert managing.ask("DELETE", f"/api/mcp/servers/{server}")["state"] == "stopped"
            assert "denied" not in project.compose("logs", "--no-log-prefix", "mystic-docker")
            assert taken(project) == given(project)
            assert reached(project, "app") is False, "whoever reaches the proxy can make containers"
            assert reached(project, "mystic") is True
        finally:
            left = gone(owner) if owner else []
    assert left == []


def taken(project: Project) -> set[str]:
    """Return the proxy's rules that something has passed by."""
    lines = [line.split() for line in project.compose("logs", "--no-log-prefix", "mystic-docker").splitlines()]
    passed = [words for words in lines if words[:1] == ["allowed"]]
    changes = {"POST"} if any(method not in ("GET", "HEAD") for _, _, method, _ in passed) else set()
    return {rule for _, rule, _, _ in passed} | changes


def given(project: Project) -> set[str]:
    """Return the rules that the project's Compose file switches on."""
    composed = yaml.safe_load((project.root / "docker-compose.mystic.yml").read_text())
    environment: dict[str, int] = composed["services"]["mystic-docker"]["environment"]
    assert {"EVENTS", "PING", "VERSION"} <= environment.keys(), "those are on in the proxy unless they are switched off"
    return {name for name, value in environment.items() if value}


def reached(project: Project, service: str) -> bool:
    """True when a service can connect to the proxy."""
    program = "import socket; socket.create_connection(('mystic-docker', 2375), timeout=5)"
    ran = project.compose("exec", "-T", service, "python", "-c", f"{program}; print('reached')", check=False)
    return "reached" in ran


def test_the_rules_of_the_proxy_are_told_apart_by_method_and_path() -> None:
    some = {"CONTAINERS": "1", "PING": "1"}
    assert socket_proxy.allowed("GET", "/v1.41/containers/json", some)
    assert socket_proxy.allowed("HEAD", "/_ping", some)
    assert not socket_proxy.allowed("POST", "/v1.41/containers/create", some)
    assert socket_proxy.allowed("POST", "/v1.41/containers/create", {**some, "POST": "1"})
    assert not socket_proxy.allowed("GET", "/v1.41/secrets", {**some, "SECRETS": "0"})
    assert not socket_proxy.allowed("GET", "/nothing/known", some)
