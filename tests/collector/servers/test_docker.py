"""What only an engine can show: the rights a container lacks, causes in plain language, and faults."""

from __future__ import annotations

import asyncio
import functools
import socket
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException
from mystic_collector.servers.docker.container import OWNER, arguments, labels, spec_of
from mystic_collector.servers.docker.engine import Engine, plainly
from mystic_collector.servers.docker.pipe import Frames
from mystic_collector.servers.docker.pull import Layers, refused
from mystic_collector.servers.docker.reading import judge
from mystic_collector.servers.docker.servers import DockerServers
from mystic_collector.servers.errors import (
    EngineUnavailable,
    Forbidden,
    Rejected,
    ServersError,
    UnknownServer,
    Unreachable,
)
from mystic_collector.servers.figures import Figures
from mystic_collector.servers.gateway.calls import Calls
from mystic_collector.servers.idle import Idle
from mystic_collector.servers.told import seconds
from mystic_collector.servers.validation import read_spec

from .contract import PATIENCE, Speech, eventually, settled
from .engine import DockerLaboratory, client

pytestmark = pytest.mark.anyio
SPEC = read_spec({"name": "one", "server_type": "npx", "package": "x", "env": {"TOKEN": "canary-value"}})


def test_a_container_has_no_right_it_does_not_need() -> None:
    given = arguments(SPEC, "node:24", "", {"SECRET": "s"}, "net", init=True)
    assert given["user"] == "65534:65534"
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert given["read_only"] is True
    assert given["privileged"] is False
    assert given["nano_cpus"] == 500_000_000
    assert given["mem_limit"] == given["memswap_limit"] == 512 * 2**20
    assert given["pids_limit"] == 256
    assert given["entrypoint"] + given["command"] == ["npx", "--yes", "--", "x"]
    assert not {"volumes", "mounts", "devices", "cap_add", "ports", "pid_mode", "ipc_mode"} & given.keys()
    assert arguments(SPEC, "i", "node", {}, None, init=False)["user"] == "node"
    assert arguments(SPEC, "i", "node", {}, None, init=False)["network_mode"] == "none"
    for root in ("root", "0", "0:0", "root:root", " ", "00"):
        assert arguments(SPEC, "i", root, {}, None, init=False)["user"] == "65534:65534"


def test_labels_hold_the_spec_without_any_value_and_give_it_back() -> None:
    found = labels("me", SPEC, "main", 2)
    assert "canary" not in repr(found)
    assert spec_of({"Config": {"Labels": found, "Env": ["TOKEN=canary-value", "HOME=/tmp"]}}) == SPEC
    for tampered in ("", "{", "[]", '{"name": "../"}', '{"name": "a", "env": 3}'):
        assert spec_of({"Config": {"Labels": {**found, "io.gnosis-mystic.spec": tampered}}}) is None


@pytest.mark.parametrize(
    ("told", "state", "words"),
    [
        ({"Status": "running"}, "running", ""),
        ({"Status": "created"}, "starting", "being started"),
        ({"Status": "paused"}, "stopped", "paused"),
        (
            {"Status": "exited", "ExitCode": 137, "OOMKilled": True},
            "failed",
            "out of memory: it needed more than 512 MiB",
        ),
        ({"Status": "exited", "ExitCode": 137}, "failed", "killed from outside: last words"),
        ({"Status": "exited", "ExitCode": 127}, "failed", "not found in the image"),
        ({"Status": "exited", "ExitCode": 139}, "failed", "SIGSEGV"),
        ({"Status": "exited", "ExitCode": 3}, "failed", "exit code 3: last words"),
        ({"Status": "exited", "ExitCode": 0}, "stopped", "by itself"),
        ({"Status": "exited", "ExitCode": 143}, "stopped", "asked to end"),
        ({"Status": "dead", "ExitCode": 128, "Error": "no space\nleft"}, "failed", "no space left"),
    ],
)
def test_every_state_of_a_container_has_a_cause_in_plain_language(told: dict[str, Any], state: str, words: str) -> None:
    found = judge(told, SPEC, "last words")
    assert found.state == state
    assert words in found.detail
    assert bool(found.cause) == (state == "failed")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pull access denied for x, repository does not exist or may require 'docker login'", "not for everybody"),
        ("manifest for x:1 not found: manifest unknown", "no such image"),
        ("toomanyrequests: You have reached your pull rate limit", "fewer requests"),
        ("write /var/lib/docker/x: no space left on device", "no room"),
        ("Get https://x/v2/: dial tcp: lookup x: no such host", "registry cannot be reached"),
        ("net/http: TLS handshake timeout", "registry cannot be reached"),
    ],
)
def test_every_reason_why_an_image_does_not_come_is_told_with_a_remedy(text: str, words: str) -> None:
    found = refused(text)
    assert words in found.what
    assert found.remedy


def test_progress_of_a_pull_is_the_share_of_its_bytes() -> None:
    layers = Layers()
    assert layers.take({"status": "Pulling from x", "id": "1"}) == 0.0
    for name in ("a", "b"):
        layers.take({"status": "Pulling fs layer", "id": name})
    assert layers.take({"status": "Downloading", "id": "a", "progressDetail": {"current": 50, "total": 100}}) == 0.25
    assert layers.take({"status": "Download complete", "id": "a"}) == 0.5
    assert layers.take({"status": "Already exists", "id": "b"}) > 0.5
    with pytest.raises(ServersError, match="no such image"):
        layers.take({"error": "manifest unknown"})


def test_frames_are_put_together_however_they_are_cut() -> None:
    data = b"".join(
        bytes([stream, 0, 0, 0]) + len(text).to_bytes(4) + text
        for stream, text in ((1, b"one"), (2, b"not this"), (1, b""), (1, b"two" * 1000))
    )
    for step in (1, 3, 7, 8, 9, 4096):
        frames = Frames()
        assert b"".join(frames.take(data[at : at + step]) for at in range(0, len(data), step)) == b"one" + b"two" * 1000


def test_times_of_the_engine_are_read_to_the_microsecond() -> None:
    assert seconds("2026-11-22T02:31:02.123456789Z") == pytest.approx(1795314662.123456)
    assert seconds("2026-11-22T02:31:02Z") == 1795314662.0
    for none in ("0001-01-01T00:00:00Z", "", None, "yesterday"):
        assert seconds(none) == 0.0


async def test_an_engine_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    for host in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:1"):
        engine = Engine(functools.partial(docker.DockerClient, base_url=host, timeout=2, version="1.41"), host)
        servers = DockerServers("nobody", engine)
        health = await servers.health()
        assert (health.ok, health.mode) == (False, "docker")
        assert "no Docker engine answers" in health.reason
        assert "DOCKER_HOST" in health.remedy
        for operation in (servers.listed(), servers.start(SPEC), servers.status("one")):
            with pytest.raises(EngineUnavailable, match="no Docker engine answers"):
                await operation
        await servers.close()
    assert isinstance(plainly(DockerException("Error: PermissionError(13, 'Permission denied')")), Forbidden)


async def test_an_engine_that_never_answers_is_given_up_by_health(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        engine = Engine(functools.partial(docker.DockerClient, base_url=host, timeout=4, version="1.41"), host)
        servers = DockerServers("nobody", engine)
        health = await servers.health()
        assert (health.ok, health.reason) == (False, "the Docker engine does not answer in time")
        await servers.close()


@pytest.fixture
async def real(tmp_path: Path, secrets: Path) -> Any:
    found = DockerLaboratory(tmp_path, secrets)
    try:
        yield found
    finally:
        await found.clean()
    assert found.left() == []


async def test_what_a_running_server_may_is_what_was_promised(real: DockerLaboratory) -> None:
    servers = real.open()
    await servers.start(real.spec("small", limits={"memory": "64Mi", "cpu": "250m", "processes": 32}))
    await settled(servers, "small")
    [container] = client().containers.list(filters={"label": f"{OWNER}={real.owner}"})
    host, config = container.attrs["HostConfig"], container.attrs["Config"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert not host["Binds"]
    assert not host["PortBindings"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (2**26, 2**26, 250_000_000, 32)
    assert config["User"] == "65534:65534"
    status = (await asyncio.to_thread(container.exec_run, ["cat", "/proc/1/status"])).output.decode()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    written = await asyncio.to_thread(container.exec_run, ["python", "-c", "open('/opt/x', 'w')"])
    assert b"Read-only file system" in written.output
    networks = client().networks.list(filters={"label": f"{OWNER}={real.owner}"})
    assert [one.attrs["Options"]["com.docker.network.bridge.enable_icc"] for one in networks] == ["false"]


async def test_a_server_that_is_to_run_on_a_certain_node_is_refused(real: DockerLaboratory) -> None:
    servers = real.open()
    with pytest.raises(Rejected, match=r"'placed'.*leave placement out"):
        await servers.start(real.spec("placed", placement={"node_selector": {"gpu": "yes"}}))
    assert await servers.listed() == ()


async def test_a_server_without_a_network_has_none(real: DockerLaboratory) -> None:
    servers = real.open()
    await servers.start(real.spec("alone", network="none"))
    await settled(servers, "alone")
    [container] = client().containers.list(filters={"label": f"{OWNER}={real.owner}"})
    assert container.attrs["HostConfig"]["NetworkMode"] == "none"
    async with servers.open("alone") as pipe:
        assert await Speech(pipe).call("echo", text="still spoken to") == "still spoken to"
    await servers.stop("alone")


async def test_a_server_that_needs_too_much_memory_is_said_to(real: DockerLaboratory) -> None:
    servers = real.open()
    await servers.start(real.spec("greedy", limits={"memory": "32Mi"}))
    await settled(servers, "greedy")
    calls = Calls(servers, Figures())
    with pytest.raises(Unreachable):
        await calls.call("greedy", "fill", {"mib": 64})
    await calls.close()
    found = await eventually(servers, "greedy", "failed")
    assert "out of memory: it needed more than 32 MiB" in found.detail
    assert "limits.memory" in found.remedy
    await servers.stop("greedy")


async def test_a_server_that_nobody_speaks_to_is_stopped_when_it_is_to_be(real: DockerLaboratory) -> None:
    servers = real.open()
    assert (await servers.start(real.spec("brief", idle=0.5))).state == "starting"
    async with asyncio.timeout(PATIENCE):
        while await servers.listed() or real.left():
            await asyncio.sleep(0.05)
    with pytest.raises(UnknownServer, match="'brief'"):
        await servers.status("brief")


async def test_a_server_is_not_idle_while_somebody_speaks_to_it() -> None:
    stopped: asyncio.Queue[str] = asyncio.Queue()
    idle = Idle(stopped.put)
    brief, lasting = (
        read_spec({"name": name, "server_type": "npx", "package": "x", "idle": seconds})
        for name, seconds in (("brief", 0.01), ("lasting", 0))
    )
    idle.watch(lasting)
    with idle.used(lasting):
        pass
    idle.watch(brief)
    with idle.used(brief):
        with idle.used(brief):
            pass
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stopped.get(), 0.1)
    assert await asyncio.wait_for(stopped.get(), PATIENCE) == "brief"
    assert stopped.empty()
    idle.close()


async def test_a_program_that_the_image_lacks_is_named(real: DockerLaboratory) -> None:
    servers = real.open()
    await servers.start(real.spec("absent", command=["no-such-program"]))
    found = await eventually(servers, "absent", "failed")
    assert "no-such-program" in found.detail
    await servers.stop("absent")


async def test_a_server_that_does_not_listen_in_time_is_stopped_with_the_reason(real: DockerLaboratory) -> None:
    servers = real.open()
    spec = real.spec("deaf", transport="http", port=9999, timeout=2, command=["python", "-m", "http.server", "9998"])
    await servers.start(spec)
    found = await settled(servers, "deaf")
    assert found.state == "failed"
    assert "did not listen on port 9999 within 2 s" in found.detail
    await servers.stop("deaf")


async def test_a_container_killed_from_outside_and_one_removed_are_seen(real: DockerLaboratory) -> None:
    servers = real.open()
    await servers.start(real.spec("victim"))
    await settled(servers, "victim")
    [container] = client().containers.list(filters={"label": f"{OWNER}={real.owner}"})
    await asyncio.to_thread(container.kill)
    assert "killed from outside" in (await eventually(servers, "victim", "failed")).detail
    await servers.restart("victim")
    assert (await settled(servers, "victim")).state == "running"
    [container] = client().containers.list(filters={"label": f"{OWNER}={real.owner}"})
    await asyncio.to_thread(container.remove, force=True)
    assert await servers.listed() == ()


async def test_a_process_that_crashed_in_the_middle_leaves_no_orphan(real: DockerLaboratory) -> None:
    former = real.open()
    await former.start(real.spec("stays"))
    await settled(former, "stays")
    async with former.open("stays"), former.open("stays"):
        assert len(real.left()) == 3  # the server, the second session's process, the network
        later = real.open()  # while the former still holds everything, as after a SIGKILL
        assert [one.name for one in await later.listed()] == ["stays"]
        assert len(real.left()) == 2
        async with asyncio.timeout(PATIENCE), later.open("stays") as pipe:
            assert await Speech(pipe).call("echo", text="adopted") == "adopted"
        await later.stop("stays")


async def test_a_server_whose_session_ended_with_its_collector_runs_again_under_the_next(
    real: DockerLaboratory,
) -> None:
    former = real.open()
    await former.start(real.spec("orphan"))
    await settled(former, "orphan")
    [container] = client().containers.list(filters={"label": f"{OWNER}={real.owner}"})
    async with former.open("orphan") as pipe:
        pipe.close()  # all that the engine sees of a process that is killed
        assert (await asyncio.to_thread(container.wait))["StatusCode"] == 0
        later = real.open()
        assert (await later.status("orphan")).state == "running"
        async with later.open("orphan") as again:
            assert await Speech(again).call("echo", text="back") == "back"
    await later.stop("orphan")
