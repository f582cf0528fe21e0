"""The sidecar does the work when it is there and healthy, else Docker; neither is said with how to get either."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest
from mystic_collector.servers.choice import ChosenServers
from mystic_collector.servers.errors import EngineUnavailable, UnknownServer
from mystic_collector.servers.secrets import from_folder
from mystic_collector.servers.server import Health, Server
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.validation import read_spec

from ..conftest import running
from .contract import PATIENCE
from .memory import IMAGE, MemoryServers

pytestmark = pytest.mark.anyio


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Switched(MemoryServers):
    """One that can be away: then it says so, and does nothing."""

    def __init__(self, mode: str) -> None:
        super().__init__({}, from_folder(None), 20, 8)
        self.mode = mode
        self.asked = 0

    async def health(self) -> Health:
        self.asked += 1
        return await super().health()

    async def start(self, spec: ServerSpec) -> Server:
        if self.down:
            raise EngineUnavailable(f"{self.mode} is away", "bring it back")
        return await super().start(spec)


def spec(name: str) -> ServerSpec:
    return read_spec({"name": name, "server_type": "docker", "image": IMAGE})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sidecar() -> Switched:
    return Switched("kubernetes")


@pytest.fixture
def docker() -> Switched:
    return Switched("docker")


@pytest.fixture
def servers(sidecar: Switched, docker: Switched, clock: Clock) -> ChosenServers:
    return ChosenServers(sidecar, docker, memory=2.0, clock=clock)


async def test_the_sidecar_does_the_work_while_it_is_healthy(servers: ChosenServers, docker: Switched) -> None:
    assert (await servers.start(spec("one"))).mode == "kubernetes"
    assert servers.mode == "kubernetes"
    assert await docker.listed() == ()
    assert (await servers.health()).mode == "kubernetes"


async def test_health_is_asked_again_once_its_memory_is_over(
    servers: ChosenServers, sidecar: Switched, clock: Clock
) -> None:
    for _ in range(5):
        await servers.choose()
    assert sidecar.asked == 1
    clock.now = 2.1
    await servers.choose()
    assert sidecar.asked == 2


async def test_docker_takes_over_with_one_warning_and_the_sidecar_comes_back(
    servers: ChosenServers, sidecar: Switched, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "mystic_collector.servers")
    await servers.start(spec("before"))
    sidecar.down, clock.now = "connection refused", 3.0
    for name in ("during", "during-2"):
        assert (await servers.start(spec(name))).mode == "docker"
    assert [record.getMessage() for record in caplog.records] == [
        "MCP servers now run in docker (kubernetes: connection refused)"
    ]
    assert [one.name for one in await servers.listed()] == ["during", "during-2"]
    sidecar.down, clock.now = "", 6.0
    assert (await servers.start(spec("after"))).mode == "kubernetes"
    assert [one.name for one in await servers.listed()] == ["after", "before", "during", "during-2"]
    assert len(caplog.records) == 1


async def test_one_that_goes_between_its_health_and_the_request_is_replaced_at_once(
    servers: ChosenServers, sidecar: Switched
) -> None:
    await servers.choose()
    sidecar.down = "reset by peer"
    assert (await servers.start(spec("one"))).mode == "docker"


async def test_a_server_of_the_other_one_is_still_found_spoken_to_and_stopped(
    servers: ChosenServers, sidecar: Switched, clock: Clock
) -> None:
    sidecar.down = "away"
    await servers.start(spec("in-docker"))
    sidecar.down, clock.now = "", 3.0
    assert (await servers.status("in-docker", wait=5.0)).mode == "docker"
    async with servers.open("in-docker"):
        pass
    assert await servers.logs("in-docker") == ()
    await servers.restart("in-docker")
    assert (await servers.stop("in-docker")).mode == "docker"
    with pytest.raises(UnknownServer):
        await servers.status("in-docker")


async def test_neither_is_a_clear_answer_that_says_how_to_get_either(
    servers: ChosenServers, sidecar: Switched, docker: Switched
) -> None:
    sidecar.down, docker.down = "connection refused", "no Docker engine answers"
    with pytest.raises(EngineUnavailable) as refused:
        await servers.start(spec("one"))
    text = str(refused.value)
    for word in ("kubernetes: connection refused", "docker: no Docker engine", "mcp-sidecar", "DOCKER_HOST"):
        assert word in text
    health = await servers.health()
    assert not health.ok
    assert "mcp-sidecar" in health.remedy


async def test_switched_off_says_so() -> None:
    with pytest.raises(EngineUnavailable, match="MYSTIC_SERVERS=off"):
        await ChosenServers(None, None).listed()


def test_a_collector_that_was_told_of_a_sidecar_asks_for_its_health_when_it_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        with running(tmp_path, servers="sidecar", sidecar_url=url, sidecar_token="shared"):
            near, _ = door.accept()
            with near:
                near.settimeout(PATIENCE)
                asked = near.recv(4096)
    assert asked.startswith(b"GET /mcp/health ")
    assert b"authorization: bearer shared" in asked.lower()
