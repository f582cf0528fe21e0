"""Changes that take a while: progress is told, the call returns in time, and can be asked for again."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
from mcp.client.client import Client
from mystic_collector.chat.collector import Collector
from mystic_collector.chat.server import build_server
from mystic_collector.chat.session import Chat

from tests.collector.chat.conftest import report
from tests.collector.chat.talk import CACHE, text_of
from tests.collector.conftest import PATIENCE, Running


def test_a_change_is_waited_for_with_progress_until_the_process_answers(shop: Running, tmp_path: Path) -> None:
    told: list[str] = []
    waiting = threading.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        assert (done, total) == (0, 1)
        told.append(message or "")
        waiting.set()

    def play() -> None:
        """Answer as the agent does, once the client has been told that it waits."""
        with shop.stream(instance="i1") as events:
            next(events)
            connected.set()
            sent = next(data for kind, data in events if kind == "hijacks" and data["hijacks"])
            assert waiting.wait(PATIENCE)
            [hijack] = sent["hijacks"]
            row = {"function": "shop:price", "state": "attached", "hijacks": [hijack["id"]], "strategies": ["cache"]}
            shop.report("i1", [row], stage="development", version=sent["version"])

    async def speak() -> str:
        async with Client(build_server(Chat(Collector(shop.url), patience=PATIENCE))) as client:
            made = await client.call_tool("hijack_function", CACHE, progress_callback=progress)
            assert made.structured_content["pending"] is False
            return text_of(made)

    connected = threading.Event()
    agent = threading.Thread(target=play)
    agent.start()
    assert connected.wait(PATIENCE)
    said = asyncio.run(speak())
    agent.join(PATIENCE)
    assert "attached in 1 of 1 processes" in said
    assert told


def test_a_process_that_does_not_answer_is_said_with_how_to_ask_again(shop: Running) -> None:
    async def speak() -> None:
        async with Client(build_server(Chat(Collector(shop.url), patience=0.3))) as client:
            made = await client.call_tool("hijack_function", CACHE)
            identity = made.structured_content["hijack"]["id"]
            assert made.structured_content["pending"] is True
            assert f'list_hijacked_functions {{"query": "{identity}"}}' in text_of(made)
            listed = await client.call_tool("list_hijacked_functions", {"query": identity})
            assert [one["id"] for one in listed.structured_content["hijacks"]] == [identity]

    with shop.stream(instance="i1") as events:
        next(events)
        asyncio.run(speak())


def test_a_header_that_contradicts_the_message_is_an_error_of_the_protocol(shop: Running) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "hijack_function", "arguments": CACHE, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "mystic_status",
    }
    reply = httpx.post(f"{shop.url}/mcp", json=message, headers=headers, trust_env=False)
    assert reply.status_code == 400, reply.text
    assert "error" in reply.json()
    assert shop.get("/api/hijacks")["count"] == 0


def test_open_streams_of_clients_do_not_hold_up_the_end_of_the_collector(tmp_path: Path) -> None:
    from tests.collector.chat.test_conversation import HELLO, TYPES
    from tests.collector.conftest import running

    with running(tmp_path) as collector:
        report(collector, tmp_path)
        with httpx.Client(trust_env=False) as client:
            begun = client.post(f"{collector.url}/mcp", json=HELLO, headers=TYPES)
            session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], "Accept": "text/event-stream"}
            with client.stream("GET", f"{collector.url}/mcp", headers=session) as stream:
                assert stream.status_code == 200
                collector.server.should_exit = True
                assert list(stream.iter_raw()) is not None, "the stream ends"
