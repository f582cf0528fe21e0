"""What is lost between client, sidecar and cluster is asked again, and done once; nothing of it is left over."""

from __future__ import annotations

import asyncio
import functools
import json
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from mystic_collector.servers.errors import EngineUnavailable, NameTaken
from mystic_collector.servers.sidecar import SidecarServers

from ...e2e.containers.engine import until
from ..servers.cluster import TOKEN, KubernetesLaboratory
from ..servers.contract import PATIENCE, Speech, settled
from .process import Process, environment
from .proxy import Proxy, between

__all__ = ["environment"]
pytestmark = pytest.mark.anyio


def where(url: str) -> tuple[str, int]:
    found = urlsplit(url)
    assert found.hostname
    assert found.port
    return found.hostname, found.port


@pytest.fixture
def way(laboratory: KubernetesLaboratory) -> Iterator[Proxy]:
    """What lies between a client and its sidecar."""
    laboratory.open()
    assert laboratory.beside is not None
    with between(where(laboratory.beside.url)) as found:
        yield found


async def test_whatever_is_asked_of_the_sidecar_is_asked_again_when_its_answer_is_lost_and_done_once(
    laboratory: KubernetesLaboratory, way: Proxy
) -> None:
    servers = SidecarServers(f"http://127.0.0.1:{way.address[1]}", lambda: TOKEN)
    try:
        way.lose = 1
        begun = await servers.start(laboratory.spec("once"))
        assert laboratory.left() == [begun.identity]
        before = await settled(servers, "once")
        way.lose = 2
        await servers.restart("once")
        after = await settled(servers, "once")
        assert (after.restarts, after.identity != before.identity) == (1, True)
        assert laboratory.left() == [after.identity]
        way.lose = 1
        assert [one.name for one in await servers.listed()] == ["once"]
        way.lose = 1
        with pytest.raises(NameTaken):
            await servers.start(laboratory.spec("once"))
        await servers.status("once")  # the connection is there
        way.lose = 1
        assert (await servers.stop("once")).state == "stopped"
        assert laboratory.left() == []
        way.lose = 9
        with pytest.raises(EngineUnavailable, match="does not answer"):
            await servers.listed()
        assert way.lose == 6, "three times in all"
    finally:
        await servers.close()


async def test_a_sidecar_that_is_silent_is_not_waited_for(way: Proxy) -> None:
    servers = SidecarServers(f"http://127.0.0.1:{way.address[1]}", lambda: TOKEN)
    try:
        assert (await servers.health()).ok
        way.answers.clear()
        health = await servers.health()
        assert (health.ok, "does not answer in time" in health.reason) == (False, True)
        assert "mcp-sidecar" in health.remedy
        way.answers.set()
        assert (await servers.health()).ok
    finally:
        await servers.close()


async def test_a_sidecar_killed_before_it_learns_of_the_pod_it_has_made_leaves_it_to_the_next(
    laboratory: KubernetesLaboratory, environment: dict[str, str]
) -> None:
    body = laboratory.spec("caught").to_json(values=True)
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "the-same"}
    asking = functools.partial(httpx.AsyncClient, trust_env=False, headers=headers, timeout=PATIENCE)
    cluster = laboratory.home.cluster().api().api_client.configuration.host
    with between(where(cluster)) as proxy:
        environment["KUBECONFIG"] = str(laboratory.home.at(f"https://127.0.0.1:{proxy.address[1]}"))
        with await asyncio.to_thread(Process, environment) as sidecar:
            async with asking(base_url=sidecar.url) as web:
                assert (await web.get("/mcp/list")).json() == {"servers": [], "count": 0}
                assert (await web.get("/mcp/health")).json()["healthy"], "it has a connection for what follows"
                proxy.answers.clear()
                starting = asyncio.create_task(web.post("/mcp/start", json=body))
                [made] = await asyncio.to_thread(until, laboratory.left, "the cluster has made the pod")
                await asyncio.to_thread(sidecar.end, signal.SIGKILL)
                with pytest.raises(httpx.TransportError):
                    await starting

    later = laboratory.open()
    assert laboratory.beside is not None
    async with asking(base_url=laboratory.beside.url) as web:
        again = await web.post("/mcp/start", json=body)
        assert (again.status_code, again.json()["identity"]) == (202, made), again.text
    assert (await settled(later, "caught")).state == "running"
    async with later.open("caught") as pipe:
        assert await Speech(pipe).call("echo", text="taken over") == "taken over"
    await later.stop("caught")
    assert laboratory.left() == []


async def test_a_start_that_never_reached_the_cluster_leaves_its_name_free(
    laboratory: KubernetesLaboratory, environment: dict[str, str]
) -> None:
    cluster = laboratory.home.cluster().api().api_client.configuration.host
    with between(where(cluster)) as proxy:
        environment["KUBECONFIG"] = str(laboratory.home.at(f"https://127.0.0.1:{proxy.address[1]}"))
        with await asyncio.to_thread(Process, environment) as sidecar:
            servers = SidecarServers(sidecar.url, lambda: TOKEN)
            try:
                assert await servers.listed() == ()
                proxy.down()
                with pytest.raises(EngineUnavailable, match="cannot be reached"):
                    await servers.start(laboratory.spec("never"))
            finally:
                await servers.close()
    later = laboratory.open()
    assert await later.listed() == ()
    await later.start(laboratory.spec("never"))
    assert json.dumps(laboratory.left()).count("never") == 1
