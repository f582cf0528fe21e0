"""docs/chat.md names the tools there are, in their order, and calls them as they can be called."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from mystic_collector.chat.collector import Collector
from mystic_collector.chat.server import build_server
from mystic_collector.chat.session import Chat


def tools() -> dict[str, dict[str, Any]]:
    server = build_server(Chat(Collector("http://127.0.0.1:9")))
    return {one.name: one.input_schema for one in asyncio.run(server.list_tools())}


def test_the_page_lists_every_tool_in_the_order_in_which_clients_see_them(root: Path) -> None:
    page = (root / "docs" / "chat.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert listed == list(tools())


def test_the_calls_on_the_page_and_in_descriptions_have_arguments_that_the_tools_take(root: Path) -> None:
    known = tools()
    page = (root / "docs" / "chat.md").read_text(encoding="utf-8")
    calls = re.findall(r"`(\w+) (\{.*?\})`", page)
    assert len(calls) >= 6
    for name, arguments in calls:
        assert set(json.loads(arguments)) <= set(known[name]["properties"]), name
