"""On a real cluster: what goes wrong is told in plain language, leaves no orphan, and is over when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from kubernetes import client, config
from mystic_collector.servers.errors import (
    EngineUnavailable,
    Forbidden,
    NameTaken,
    NotRunning,
    Rejected,
    UnknownServer,
)
from mystic_collector.servers.server import Server
from mystic_collector.servers.sidecar import SidecarServers
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.pod import NAME, ROLE

from ..servers.cluster import TOKEN, Beside, KubernetesLaboratory, kubeconfig
from ..servers.contract import PATIENCE, Speech, eventually, settled
from ..servers.test_validation import REFUSED
from .process import Process, environment
from .proxy import between

__all__ = ["environment"]
pytestmark = pytest.mark.anyio


def main_pod(laboratory: KubernetesLaboratory, name: str) -> str:
    [found] = [
        one["metadata"]["name"]
        for one in laboratory.home.pods(laboratory.owner)
        if one["metadata"]["labels"][NAME] == name and one["metadata"]["labels"][ROLE] == "main"
    ]
    return str(found)


async def test_more_memory_than_it_may_have_is_told(laboratory: KubernetesLaboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("hungry", limits={"memory": "64Mi", "memory_request": "16Mi"}))
    await settled(servers, "hungry")
    async with servers.open("hungry") as pipe:
        assert await Speech(pipe).call("fill", mib=200) is None
    found = await eventually(servers, "hungry", "failed")
    assert "64 MiB" in found.detail
    assert found.cause == "memory"
    assert "limits.memory" in found.remedy
    with pytest.raises(NotRunning, match="out of memory"):
        async with servers.open("hungry"):
            pass
    await servers.restart("hungry")
    assert (await settled(servers, "hungry")).state == "running"


async def test_a_pod_deleted_or_evicted_from_outside_is_told_and_begun_anew(laboratory: KubernetesLaboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("victim"))
    await settled(servers, "victim")
    laboratory.home.kubectl("delete", "pod", main_pod(laboratory, "victim"), "--grace-period=0", "--force")
    found = await eventually(servers, "victim", "failed")
    assert "deleted from outside" in found.detail
    with pytest.raises(NameTaken):
        await servers.start(laboratory.spec("victim"))
    assert await servers.logs("victim") == ()
    await servers.restart("victim")
    assert (await settled(servers, "victim")).state == "running"

    name = main_pod(laboratory, "victim")
    minor = "".join(
        filter(
            str.isdigit, json.loads(laboratory.home.kubectl("version", "--output", "json"))["serverVersion"]["minor"]
        )
    )
    version = "policy/v1" if int(minor) >= 22 else "policy/v1beta1"
    eviction = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": name}}
    eviction["deleteOptions"] = {"gracePeriodSeconds": 0}
    path = f"/api/v1/namespaces/{laboratory.home.namespace}/pods/{name}/eviction"
    laboratory.home.kubectl("create", "--raw", path, "--filename", "-", given=json.dumps(eviction))
    assert "eviction" in (await eventually(servers, "victim", "failed")).detail
    await servers.stop("victim")
    assert await servers.listed() == ()


async def test_a_quota_that_is_reached_is_told_and_a_restart_still_works(laboratory: KubernetesLaboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("first"))
    await settled(servers, "first")
    laboratory.home.kubectl("create", "quota", "small", "--hard=pods=1")
    try:
        async with asyncio.timeout(PATIENCE):
            while not laboratory.home.kubectl("get", "quota", "small", "--output", "jsonpath={.status.used.pods}"):
                await asyncio.sleep(0.1)
        with pytest.raises(Rejected, match=r"quota of the namespace is reached: small.*stop a server"):
            await servers.start(laboratory.spec("second"))
        assert [one.name for one in await servers.listed()] == ["first"]
        await servers.restart("first")
        assert (await settled(servers, "first")).state == "running"
        assert len(laboratory.left()) == 1
    finally:
        laboratory.home.kubectl("delete", "quota", "small")


async def test_an_account_without_the_role_is_told_what_it_may_not_and_how_it_may(
    laboratory: KubernetesLaboratory, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, laboratory.home.namespace, "default")

    def configured(context: str) -> tuple[client.Configuration, str]:
        found = client.Configuration()
        config.load_kube_config(str(path), client_configuration=found, persist_config=False)
        found.retries = 0
        return found, ""

    beside = Beside(laboratory.settings, Cluster(laboratory.home.namespace, configure=configured))
    servers = SidecarServers(beside.url, lambda: TOKEN)
    try:
        health = await servers.health()
        assert not health.ok
        assert "default may not list resource" in health.reason
        assert "rbac.yaml" in health.remedy
        assert httpx.get(f"{beside.url}/health", trust_env=False).status_code == 503
        with pytest.raises(Forbidden, match="may not list"):
            await servers.start(laboratory.spec("one"))
    finally:
        await servers.close()
        await asyncio.to_thread(beside.stop)


async def test_a_neighbour_without_the_token_is_answered_by_nobody(laboratory: KubernetesLaboratory) -> None:
    laboratory.open()
    assert laboratory.beside is not None
    url = laboratory.beside.url
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE) as web:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-Mystic-Key": "wrong"}):
            for method, path in (
                ("POST", "/mcp/start"),
                ("POST", "/mcp/stop"),
                ("POST", "/mcp/restart"),
                ("GET", "/mcp/status"),
                ("GET", "/mcp/list"),
                ("GET", "/mcp/logs"),
                ("GET", "/status"),
                ("GET", "/servers"),
                ("DELETE", "/servers/one"),
            ):
                found = await web.request(method, path, headers=headers)
                assert found.status_code == 401, (method, path)
        found = await web.get("/health")
        assert (found.status_code, found.json()) == (200, {"status": "ok", "mode": "kubernetes"})
        assert (await web.get("/health", headers={"Host": "evil.example"})).status_code == 421
        page = {"Origin": "http://evil.example", "Authorization": f"Bearer {TOKEN}"}
        assert (await web.get("/mcp/list", headers=page)).status_code == 403
    stranger = SidecarServers(url, lambda: "wrong")
    try:
        assert "does not take our token" in (await stranger.health()).reason
        with pytest.raises(Forbidden, match="token"):
            await stranger.listed()
        with pytest.raises(Forbidden, match="token"):
            async with stranger.open("one"):
                pass
    finally:
        await stranger.close()


AWAY = 30.0
"""Seconds for which an API server is away: longer than what was seen last is an answer."""


async def away(servers: SidecarServers, name: str) -> bool:
    try:
        await servers.status(name)
    except EngineUnavailable:
        return True
    return False


async def test_an_api_server_that_is_away_for_a_while_ends_no_server_and_is_found_again(
    laboratory: KubernetesLaboratory,
) -> None:
    where = urlsplit(laboratory.home.cluster().api().api_client.configuration.host)
    assert where.hostname
    assert where.port
    with between((where.hostname, where.port)) as proxy:
        servers = laboratory.open(host=f"https://127.0.0.1:{proxy.address[1]}")
        await servers.start(laboratory.spec("stays"))
        before = await settled(servers, "stays")
        proxy.down()
        async with asyncio.timeout(PATIENCE):
            while (health := await servers.health()).ok:
                await asyncio.sleep(0.1)
        assert "cannot be reached" in health.reason
        assert (await servers.status("stays")).state == "running", "what was seen last is the answer for a while"
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await servers.start(laboratory.spec("other"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AWAY):
                while True:
                    assert not (await servers.health()).ok
                    await asyncio.sleep(0.5)
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await servers.status("stays")
        proxy.up()
        async with asyncio.timeout(PATIENCE):
            while not (await servers.health()).ok or await away(servers, "stays"):
                await asyncio.sleep(0.1)
        assert (await servers.status("stays")).identity == before.identity
        async with servers.open("stays") as pipe:
            assert await Speech(pipe).call("echo", text="back") == "back"
        assert [one.name for one in await servers.listed()] == ["stays"]
        await servers.stop("stays")


async def test_a_start_that_is_repeated_starts_one(laboratory: KubernetesLaboratory) -> None:
    laboratory.open()
    assert laboratory.beside is not None
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "k-1"}
    body = laboratory.spec("once").to_json(values=True)
    for _ in range(2):  # the second sidecar knows it from the pod
        async with httpx.AsyncClient(base_url=laboratory.beside.url, trust_env=False, timeout=PATIENCE) as web:
            answers = await asyncio.gather(*(web.post("/mcp/start", json=body, headers=headers) for _ in range(3)))
            assert {one.status_code for one in answers} == {202}
            assert len({one.json()["identity"] for one in answers}) == 1
            other = await web.post("/mcp/start", json=body, headers={**headers, "Idempotency-Key": "k-2"})
            assert other.status_code == 409
            assert other.json()["error"]["code"] == "name_taken"
        laboratory.open()
    assert len(laboratory.left()) == 1


async def test_a_sidecar_killed_in_the_middle_of_a_start_loses_nothing(
    laboratory: KubernetesLaboratory, environment: dict[str, str]
) -> None:
    first = await asyncio.to_thread(Process, environment)
    servers = SidecarServers(first.url, lambda: TOKEN)
    try:
        await servers.start(laboratory.spec("middle"))
        await settled(servers, "middle")
        async with servers.open("middle") as pipe:
            assert await Speech(pipe).call("echo", text="here") == "here"
            starting = asyncio.create_task(servers.start(laboratory.spec("caught")))
            await asyncio.sleep(0)
            await asyncio.to_thread(first.end, signal.SIGKILL)
        [told] = await asyncio.gather(starting, return_exceptions=True)
        assert isinstance(told, EngineUnavailable | Server)
    finally:
        await servers.close()
    later = laboratory.open()
    known = {one.name for one in await later.listed()}
    assert known - {"caught"} == {"middle"}
    for name in known:
        assert (await settled(later, name)).state == "running"
        async with later.open(name) as pipe:
            assert (await Speech(pipe).call("whoami") or "").endswith(" 1"), "no session gets a used process"
        await later.stop(name)
    assert laboratory.left() == []


async def test_a_sidecar_that_is_told_to_end_leaves_servers_and_takes_sessions(
    laboratory: KubernetesLaboratory, environment: dict[str, str]
) -> None:
    process = await asyncio.to_thread(Process, environment)
    servers = SidecarServers(process.url, lambda: TOKEN)
    try:
        await servers.start(laboratory.spec("stays"))
        before = await settled(servers, "stays")
        async with servers.open("stays"), servers.open("stays") as second:
            assert await Speech(second).call("echo", text="here") == "here"
            assert len(laboratory.left()) == 2
            assert await asyncio.to_thread(process.end, signal.SIGTERM) == 0
            assert await second.receive() == b""
    finally:
        await servers.close()
    later = laboratory.open()
    [found] = await later.listed()
    assert (found.name, found.spec) == ("stays", before.spec)
    assert (await settled(later, "stays")).state == "running"
    assert len(laboratory.left()) == 1


async def test_a_server_nobody_speaks_to_is_stopped_where_that_is_asked_for(laboratory: KubernetesLaboratory) -> None:
    servers = laboratory.open()
    assert (await servers.start(laboratory.spec("lazy", idle=1))).state == "starting"
    async with asyncio.timeout(PATIENCE):
        while await servers.listed():
            await asyncio.sleep(0.1)
    with pytest.raises(UnknownServer, match="'lazy'"):
        await servers.status("lazy")


async def test_a_pod_that_is_ending_is_no_longer_told_and_goes(laboratory: KubernetesLaboratory) -> None:
    servers = laboratory.open(grace=1)
    await servers.start(laboratory.spec("slow"))
    await settled(servers, "slow")
    await servers.stop("slow")
    assert await servers.listed() == ()
    await servers.start(laboratory.spec("slow"))
    assert (await settled(servers, "slow")).state == "running"
    await servers.stop("slow")
    async with asyncio.timeout(PATIENCE):
        while laboratory.left():
            await asyncio.sleep(0.2)


async def test_a_program_that_is_not_in_the_image_and_a_port_that_stays_shut_are_told(
    laboratory: KubernetesLaboratory,
) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("typo", command=["no-such-program"]))
    await servers.start(laboratory.spec("shut", transport="http", port=3001, timeout=2))
    assert "no-such-program" in (await settled(servers, "typo")).detail
    found = await settled(servers, "shut")
    assert found.state in ("failed", "stopped"), found


async def test_whatever_could_become_an_option_a_path_or_code_is_refused_by_the_sidecar_too(
    laboratory: KubernetesLaboratory,
) -> None:
    laboratory.open()
    assert laboratory.beside is not None
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=laboratory.beside.url, trust_env=False, headers=headers) as web:
        for case, fields, field, _ in REFUSED:
            found = await web.post("/mcp/start", content=json.dumps(fields))
            assert found.status_code in (400, 422), case  # NaN is no JSON
            assert found.status_code == 400 or found.json()["error"]["field"] == field, case
        for name in ("../", "a/b", "A", "x" * 41):
            assert (await web.get("/mcp/status", params={"name": name})).status_code == 422
    assert laboratory.left() == []
