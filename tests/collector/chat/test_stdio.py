"""``mystic mcp``: the chat on stdio, in front of a collector that may be away."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import Implementation

from tests.collector.chat.conftest import report
from tests.collector.chat.talk import ERAS, talk, text_of
from tests.collector.conftest import Running, running

MYSTIC = Path(sys.executable).with_name("mystic")
T = TypeVar("T")


def environment(port: int, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "PROJECT_ROOT"))}
    return {**kept, "MYSTIC_HOST": "127.0.0.1", "MYSTIC_PORT": str(port), **more}


def on_stdio(port: int, said: Callable[[Client], Awaitable[T]], mode: str = "auto", **env: str) -> T:
    """Start ``mystic mcp`` as a client does and return what ``said`` returns."""

    async def conversation() -> T:
        server = StdioServerParameters(command=str(MYSTIC), args=["mcp"], env=environment(port, **env))
        info = Implementation(name="tester", version="1")
        async with Client(stdio_client(server), mode=mode, client_info=info) as client:
            return await said(client)

    return asyncio.run(conversation())


def port_of(collector: Running) -> int:
    return int(collector.url.rpartition(":")[2])


@pytest.mark.parametrize("mode", ERAS)
def test_the_same_tools_are_offered_on_stdio_and_change_the_service(shop: Running, mode: str) -> None:
    async def speak(client: Client) -> list[str]:
        made = await client.call_tool("hijack_function", {"function": "price", "strategy": "log"})
        assert not made.is_error, text_of(made)
        return [one.name for one in (await client.list_tools()).tools]

    offered = on_stdio(port_of(shop), speak, mode)
    assert offered == [one.name for one in talk(shop.url, lambda client: client.list_tools()).tools]
    [row] = shop.get("/api/hijacks")["hijacks"]
    assert (row["target"], row["owner"]) == ("shop:price", "tester")


def test_a_collector_that_is_away_is_an_error_with_a_remedy_until_it_comes(tmp_path: Path, free_port: int) -> None:
    async def speak(client: Client) -> None:
        assert len((await client.list_tools()).tools) > 8
        away = await client.call_tool("mystic_status", {})
        assert away.is_error
        assert f"no collector answers at http://127.0.0.1:{free_port}" in text_of(away)
        assert "mystic serve" in text_of(away)
        with running(tmp_path, port=free_port) as collector:
            await asyncio.to_thread(report, collector, tmp_path)
            there = await client.call_tool("discover_functions", {})
            assert "shop:price" in text_of(there)
        assert (await client.call_tool("mystic_status", {})).is_error
        with running(tmp_path, port=free_port):
            assert not (await client.call_tool("mystic_status", {})).is_error

    on_stdio(free_port, speak)


def test_a_key_that_is_missing_is_named_with_its_remedy(tmp_path: Path) -> None:
    with running(tmp_path, api_key="open-sesame") as collector:
        without = on_stdio(port_of(collector), lambda client: client.call_tool("mystic_status", {}))
        assert without.is_error
        assert "MYSTIC_API_KEY" in text_of(without)
        (tmp_path / "key").write_text("open-sesame\n")
        path = str(tmp_path / "key")
        given = on_stdio(port_of(collector), lambda c: c.call_tool("mystic_status", {}), MYSTIC_API_KEY_FILE=path)
        assert not given.is_error


def test_a_read_only_chat_on_stdio_and_one_before_a_read_only_collector_change_nothing(tmp_path: Path) -> None:
    arguments = {"function": "price", "strategy": "log"}
    for settings, env in (({}, {"MYSTIC_CHAT_READ_ONLY": "true"}), ({"chat_read_only": True}, {})):
        with running(tmp_path, **settings) as collector:
            report(collector, tmp_path)
            refused = on_stdio(port_of(collector), lambda c: c.call_tool("hijack_function", arguments), **env)
            assert refused.is_error
            assert "read-only" in text_of(refused)
            assert collector.get("/api/hijacks")["count"] == 0
            server = {"name": "time"}
            refused = on_stdio(port_of(collector), lambda c: c.call_tool("start_mcp_server", server), **env)
            assert "read-only" in text_of(refused)


def test_what_cannot_be_used_is_said_on_stderr_and_stdout_stays_clean() -> None:
    wrong = subprocess.run(
        [str(MYSTIC), "mcp", "--port", "none"], capture_output=True, text=True, input="", timeout=60, env=environment(1)
    )
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert "whole number" in wrong.stderr


def test_it_ends_quietly_when_its_client_has_gone() -> None:
    ended = subprocess.run(
        [str(MYSTIC), "mcp"], capture_output=True, text=True, input="", timeout=60, env=environment(1)
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
