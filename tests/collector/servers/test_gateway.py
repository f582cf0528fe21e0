"""Every server at one address: what clients and servers say is passed on, and no session reaches another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import httpx2
import pytest
import uvicorn
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mystic_collector.servers.errors import NotRunning, UnknownServer, Unreachable
from mystic_collector.servers.figures import Figures
from mystic_collector.servers.gateway.calls import Calls
from mystic_collector.servers.gateway.gateway import Gateway
from mystic_collector.servers.protocol import Servers
from starlette.applications import Starlette
from starlette.routing import Route

from .contract import PATIENCE, Laboratory, settled

pytestmark = pytest.mark.anyio
HEADERS = {"accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@asynccontextmanager
async def served(
    servers: Servers, figures: Figures | None = None, **limits: float
) -> AsyncIterator[tuple[str, Gateway]]:
    """Serve a gateway on a port of its own; yields its address."""
    figures = figures or Figures()
    calls = Calls(servers, figures)
    gateway = Gateway(servers, calls, figures, **limits)  # type: ignore[arg-type]
    app = Starlette(routes=[Route("/servers/{name}/mcp", gateway)])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=2))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/servers", gateway
    finally:
        await gateway.close()
        await calls.close()
        server.should_exit = True
        await asyncio.wait_for(serving, PATIENCE)
        listening.close()


def text_of(result: object) -> str:
    return result.content[0].text  # type: ignore[attr-defined]


async def until_none_is_open(gateway: Gateway) -> None:
    async with asyncio.timeout(PATIENCE):
        while gateway.open:
            await asyncio.sleep(0.01)


async def test_two_clients_speak_to_two_processes_of_one_server(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    async with served(servers) as (url, gateway):
        mcp = f"{url}/probe/mcp"
        async with Client(mcp, mode="legacy") as one, Client(mcp, mode="legacy") as two:
            assert [tool.name for tool in (await one.list_tools()).tools][:2] == ["echo", "whoami"]
            first, second = text_of(await one.call_tool("whoami", {})), text_of(await two.call_tool("whoami", {}))
            assert first.split()[0] != second.split()[0]
            assert text_of(await one.call_tool("whoami", {})).split() == [first.split()[0], "2"]
            assert gateway.open == 2
        await until_none_is_open(gateway)


async def test_parallel_calls_of_one_session_each_get_their_own_answer(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    async with served(servers) as (url, _), Client(f"{url}/probe/mcp") as client:
        texts = [f"call-{number}" for number in range(50)]
        answers = await asyncio.gather(*(client.call_tool("echo", {"text": text}) for text in texts))
        assert [text_of(one) for one in answers] == texts
        large = await client.call_tool("echo", {"text": "x" * 1024, "times": 768})
        assert len(text_of(large)) == 768 * 1024


async def test_a_process_that_ends_in_a_call_is_told_and_the_next_session_works(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    async with served(servers) as (url, gateway):
        async with Client(f"{url}/probe/mcp", mode="legacy") as keeps:
            async with Client(f"{url}/probe/mcp", mode="legacy") as client:
                with pytest.raises(MCPError, match="probe"):
                    await client.call_tool("leave", {"code": 1})
                with pytest.raises(MCPError):
                    await client.call_tool("echo", {"text": "nobody there"})
            assert text_of(await keeps.call_tool("echo", {"text": "untouched"})) == "untouched"
            async with Client(f"{url}/probe/mcp", mode="legacy") as again:
                assert text_of(await again.call_tool("echo", {"text": "back"})) == "back"
        await until_none_is_open(gateway)


async def test_requests_without_a_session_are_answered_by_servers_that_know_only_sessions(
    laboratory: Laboratory,
) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    async with served(servers) as (url, gateway), Client(f"{url}/probe/mcp", mode="auto") as client:
        assert client.protocol_version == "2026-07-28"
        assert client.server_info is not None
        assert client.server_info.name == "probe"
        assert "echo" in {tool.name for tool in (await client.list_tools()).tools}
        assert text_of(await client.call_tool("echo", {"text": "hi"})) == "hi"
        assert gateway.open == 0
        with pytest.raises(MCPError, match="has ended"):
            await client.call_tool("leave", {"code": 0})


async def test_what_is_no_session_is_answered_and_leaves_nothing(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    await servers.start(laboratory.spec("ended", "--leave", "3"))
    async with (
        served(servers, most=1) as (url, gateway),
        httpx.AsyncClient(headers=HEADERS, timeout=PATIENCE) as client,
    ):
        assert (await client.post(f"{url}/nobody/mcp", json=HELLO)).status_code == 404
        assert (await client.post(f"{url}/../mcp", json=HELLO)).status_code == 404
        assert (await client.post(f"{url}/A;x/mcp", json=HELLO)).status_code == 404
        assert (await client.post(f"{url}/probe/mcp", json=PING)).status_code == 400
        assert (await client.post(f"{url}/probe/mcp", content=b"{")).status_code == 400
        assert (await client.get(f"{url}/probe/mcp")).status_code == 400
        assert (await client.put(f"{url}/probe/mcp")).status_code == 405
        lost = {**HEADERS, "mcp-session-id": "f" * 32}
        assert (await client.post(f"{url}/probe/mcp", json=HELLO, headers=lost)).status_code == 404
        future = {**HEADERS, "mcp-protocol-version": "2999-01-01"}
        assert (await client.post(f"{url}/probe/mcp", json=PING, headers=future)).status_code == 400
        large = await client.post(f"{url}/probe/mcp", json={**PING, "params": {"text": "x" * 5 * 2**20}})
        assert large.status_code == 413
        await until_none_is_open(gateway)
        reply = await client.post(f"{url}/probe/mcp", json=HELLO)
        assert reply.status_code == 200
        identity = {"mcp-session-id": reply.headers["mcp-session-id"]}
        assert (await client.post(f"{url}/probe/mcp", json=HELLO)).status_code == 429
        assert (await client.post(f"{url}/ended/mcp", json=HELLO, headers=identity)).status_code == 404
        assert (await client.delete(f"{url}/probe/mcp", headers=identity)).status_code == 200
        await until_none_is_open(gateway)
        assert (await client.post(f"{url}/probe/mcp", json=HELLO, headers=identity)).status_code == 404


async def test_an_idle_session_ends_and_its_process_with_it(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    async with served(servers, idle=0.2) as (url, gateway), httpx2.AsyncClient(headers=HEADERS) as client:
        assert (await client.post(f"{url}/probe/mcp", json=HELLO, timeout=PATIENCE)).status_code == 200
        await until_none_is_open(gateway)


async def test_tools_are_called_without_a_session_over_one_client(laboratory: Laboratory) -> None:
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    calls = Calls(servers, Figures())
    try:
        assert (await calls.tools("probe"))[0]["name"] == "echo"
        results = await asyncio.gather(*(calls.call("probe", "whoami", {}) for _ in range(5)))
        assert len({one["content"][0]["text"].split()[0] for one in results}) == 1
        assert (await calls.ping("probe"))["server_info"]["name"] == "probe"
        with pytest.raises(UnknownServer):
            await calls.call("nobody", "echo", {})
        with pytest.raises(Unreachable):
            await calls.call("probe", "leave", {"code": 0})
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    found = await calls.call("probe", "echo", {"text": "back"})
                    break
                except (Unreachable, NotRunning):
                    await asyncio.sleep(0.05)
        assert found["content"][0]["text"] == "back"
    finally:
        await calls.close()
