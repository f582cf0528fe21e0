"""Tools of managed servers that take longer than a client waits, played by an application that waits for its test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.server.mcpserver.exceptions import ToolError
from mystic_collector.chat.calls import Calls
from mystic_collector.chat.collector import Collector
from mystic_collector.chat.server import build_server
from mystic_collector.chat.session import Chat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.collector.chat.talk import text_of

SPEC = {"package": "slow", "image": "", "server_type": "uv"}


class Slow:
    """What a collector says of a server called slow, whose tool ``work`` waits to be let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()
        self.states = ["starting", "starting", "running"]
        routes = [
            Route("/api/status", self.status),
            Route("/api/mcp/servers", self.start, methods=["POST"]),
            Route("/api/mcp/servers/slow", self.server),
            Route("/api/mcp/servers/slow/tools", self.tools),
            Route("/api/mcp/servers/slow/execute", self.execute, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def status(self, request: Request) -> JSONResponse:
        return JSONResponse({"processes": []})

    async def start(self, request: Request) -> JSONResponse:
        return JSONResponse({}, 202)

    async def server(self, request: Request) -> JSONResponse:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        detail = "fetching its package" if state == "starting" else ""
        told = {"detail": detail, "remedy": "", "uptime": None, "path": "/servers/slow/mcp", "spec": SPEC}
        return JSONResponse({"name": "slow", "state": state, **told})

    async def tools(self, request: Request) -> JSONResponse:
        schema = {"type": "object", "properties": {f"p{index}": {"type": "string"} for index in range(40)}}
        rows = [{"name": f"tool_{index}", "description": "d" * 900, "inputSchema": schema} for index in range(60)]
        return JSONResponse({"tools": rows})

    async def execute(self, request: Request) -> JSONResponse:
        self.begun += 1
        await self.go.wait()
        return JSONResponse({"content": [{"type": "text", "text": "done at last"}]})


def talk(said: Callable[[Client, Slow], Awaitable[None]], patience: float = 0.05) -> None:
    async def conversation() -> None:
        slow = Slow()
        chat = Chat(Collector("http://127.0.0.1:9", inside=slow.app), patience=patience)
        async with Client(build_server(chat)) as client:
            await said(client, slow)

    asyncio.run(conversation())


WORK: dict[str, Any] = {"server": "slow", "tool": "work"}


def test_a_tool_that_takes_long_is_pending_and_is_waited_for_again_without_a_second_call() -> None:
    async def said(client: Client, slow: Slow) -> None:
        pending = (await client.call_tool("call_mcp_tool", WORK)).structured_content
        assert pending["pending"] is True
        again = await client.call_tool("call_mcp_tool", {**WORK, "call": pending["call"]})
        assert again.structured_content["pending"] is True
        assert f'call="{pending["call"]}"' in text_of(again)
        slow.go.set()
        done = await client.call_tool("call_mcp_tool", {**WORK, "call": pending["call"]})
        assert (done.structured_content["text"], done.structured_content["pending"]) == ("done at last", False)
        assert slow.begun == 1
        gone = await client.call_tool("call_mcp_tool", {**WORK, "call": pending["call"]})
        assert gone.is_error
        assert "its answer has been read" in text_of(gone)

    talk(said)


def test_progress_is_told_while_a_tool_works() -> None:
    told: list[str] = []

    async def said(client: Client, slow: Slow) -> None:
        async def progress(done: float, total: float | None, message: str | None) -> None:
            told.append(message or "")
            slow.go.set()

        done = await client.call_tool("call_mcp_tool", WORK, progress_callback=progress)
        assert done.structured_content["text"] == "done at last"

    talk(said, patience=20.0)
    assert told[0] == "work of slow still works"


def test_progress_is_told_while_a_server_starts() -> None:
    told: list[str] = []

    async def said(client: Client, slow: Slow) -> None:
        async def progress(done: float, total: float | None, message: str | None) -> None:
            told.append(message or "")

        begun = await client.call_tool("start_mcp_server", {"name": "slow"}, progress_callback=progress)
        assert begun.structured_content["server"]["state"] == "running"

    talk(said)
    assert told == ["slow: fetching its package"] * 2


def test_the_tools_of_a_server_come_in_pages_that_together_are_complete() -> None:
    async def said(client: Client, slow: Slow) -> None:
        slow.states = ["running"]
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await client.call_tool("list_mcp_servers", {"name": "slow", "cursor": cursor})
            assert not page.is_error, text_of(page)
            assert len(text_of(page)) <= 20_000
            seen += [one["name"] for one in page.structured_content["tools"]]
            cursor = page.structured_content["cursor"]
        assert seen == [f"tool_{index}" for index in range(60)]

    talk(said)


def test_calls_are_bounded_the_oldest_answer_goes_first_and_nothing_is_left_at_the_end() -> None:
    async def main() -> None:
        calls, go = Calls(most=2), asyncio.Event()

        async def done() -> str:
            return "done"

        first, second = calls.begin(done), calls.begin(go.wait)
        await asyncio.sleep(0)
        third = calls.begin(go.wait)
        with pytest.raises(ToolError, match="too old"):
            await calls.answer(first, 0.1)
        with pytest.raises(ToolError, match="2 calls are under way"):
            calls.begin(done)
        assert await calls.answer(second, 0.01) is None
        go.set()
        assert await calls.answer(third, 1.0) is True
        await calls.close()
        assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("mystic-call")] == []

    asyncio.run(main())
