"""The SDK's client, in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Implementation

T = TypeVar("T")
ERAS = ("auto", "legacy")
"""Protocol 2026-07-28, and the handshake of the revisions before it."""

CACHE: dict[str, Any] = {"function": "price", "strategy": "cache", "options": {"ttl": "30m"}}
"""Arguments of a change of behaviour."""


def talk(url: str, said: Callable[[Client], Awaitable[T]], mode: str = "auto", key: str = "", **more: Any) -> T:
    """Connect a client called ``tester`` to the collector at ``url`` and return what ``said`` returns."""

    async def conversation() -> T:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
            transport = streamable_http_client(f"{url}/mcp", http_client=http)
            info = Implementation(name="tester", version="1")
            async with Client(transport, mode=mode, client_info=info, **more) as client:
                return await said(client)

    return asyncio.run(conversation())


def call(
    url: str, tool: str, mode: str = "auto", key: str = "", client: dict[str, Any] | None = None, **args: Any
) -> CallToolResult:
    """Return the result of one call."""
    return talk(url, lambda connected: connected.call_tool(tool, args), mode, key, **(client or {}))


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")
