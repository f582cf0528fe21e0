"""A sidecar outside the cluster's network: servers that listen are reached by ports that the API server forwards."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp.client.client import Client
from mystic_collector.servers.errors import Forbidden
from mystic_collector.servers.protocol import Endpoint

from ...e2e.containers.cluster import kubectl, namespace
from ..servers.cluster import ACCOUNT, RBAC, Home, KubernetesLaboratory, kubeconfig
from ..servers.contract import settled
from ..servers.test_gateway import served, text_of, until_none_is_open
from ..servers.test_third_party import EVERYTHING

# What the sidecar's event loop still holds when the test ends it, in a thread of this process, is left to the garbage
# collector: connections that the other side has not closed yet. A process of its own would simply end.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
FORWARD = RBAC.with_name("rbac-forward.yaml")
ARGS = {"http": "streamableHttp", "sse": "sse"}
LISTENS = ("-m", "http.server", "8000")
HTTP: dict[str, Any] = {"command": ["python"], "transport": "http", "port": 8000}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Nothing is left for the tests of other files to collect."""
    yield
    gc.collect()


@pytest.fixture
async def outside(archon: Home, tmp_path: Path) -> AsyncIterator[KubernetesLaboratory]:
    """A namespace whose sidecar may forward ports."""
    KubernetesLaboratory.home = archon
    found = KubernetesLaboratory(tmp_path, tmp_path)
    with namespace(f"outside-{found.owner}") as name:
        for rights in (RBAC, FORWARD):
            kubectl("--namespace", name, "apply", "--filename", str(rights))
        found.home = Home(name, kubeconfig(tmp_path, name, ACCOUNT))
        try:
            yield found
        finally:
            await found.clean()
        assert found.left() == []


@pytest.mark.parametrize("transport", list(ARGS))
async def test_a_server_that_listens_is_spoken_to_over_the_api_server(
    outside: KubernetesLaboratory, transport: str
) -> None:
    servers = outside.open(reach="forward")
    program = {**EVERYTHING, "command": [], "transport": transport, "port": 3001}
    await servers.start(outside.spec("far", ARGS[transport], **program))
    assert (await settled(servers, "far")).state == "running"
    async with served(servers) as (url, gateway):
        async with Client(f"{url}/far/mcp", mode="legacy") as one, Client(f"{url}/far/mcp", mode="legacy") as two:
            texts = [f"call-{number}" for number in range(20)]
            asked = (client.call_tool("echo", {"message": text}) for text in texts for client in (one, two))
            answers = [text_of(answer) for answer in await asyncio.gather(*asked)]
            assert answers == [f"Echo: {text}" for text in texts for _ in (one, two)]
            large = await one.call_tool("echo", {"message": "x" * 2**19})
            assert len(text_of(large)) > 2**19
        await until_none_is_open(gateway)


async def test_the_port_is_on_loopback_and_goes_with_its_session(outside: KubernetesLaboratory) -> None:
    servers = outside.open(reach="forward")
    await servers.start(outside.spec("far", *LISTENS, **HTTP))
    await settled(servers, "far")
    async with servers.open("far") as channel:
        assert isinstance(channel, Endpoint)
        where = urlsplit(channel.url)
        assert where.hostname == "127.0.0.1"
        socket.create_connection((where.hostname, where.port or 0), timeout=5).close()
    async with asyncio.timeout(30):
        while True:
            try:
                socket.create_connection((where.hostname, where.port or 0), timeout=5).close()
            except ConnectionRefusedError:
                break
            await asyncio.sleep(0.02)


async def test_without_the_right_to_forward_that_is_said_with_how_to_get_it(laboratory: KubernetesLaboratory) -> None:
    servers = laboratory.open(reach="forward")
    await servers.start(laboratory.spec("far", *LISTENS, **HTTP))
    await settled(servers, "far")
    with pytest.raises(Forbidden, match=r"may not .*pods/portforward.*rbac-forward\.yaml"):
        async with servers.open("far"):
            pass
