"""Calls as models make them: null for an absent argument, a tool's name a little wrong."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types import CallToolResult, TextContent

from mystic_collector.chat.captured import line


def lenient(offered: Collection[str], hidden: Collection[str]) -> ServerMiddleware[Any]:
    """Return middleware for calls of tools.

    Args:
        offered: names of tools there are.
        hidden: names of tools that a read-only chat does not offer.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        params = ctx.params
        if ctx.method != "tools/call" or params is None:
            return await call_next(ctx)
        name = params.get("name")
        if isinstance(name, str) and name not in offered:
            return CallToolResult(
                content=[TextContent(type="text", text=_unknown(name, offered, hidden))], is_error=True
            )
        given = params.get("arguments")
        if isinstance(given, dict) and None in given.values():
            arguments = {key: value for key, value in given.items() if value is not None}
            ctx = replace(ctx, params={**params, "arguments": arguments})
        return await call_next(ctx)

    return middleware


def _unknown(name: str, offered: Collection[str], hidden: Collection[str]) -> str:
    if name in hidden:
        return f"{name} changes the service, and this chat is read-only (MYSTIC_CHAT_READ_ONLY); nothing was changed"
    close = difflib.get_close_matches(name, offered, 3, 0.5) or sorted(offered)
    return f"there is no tool {line(name, 60)!r}; there are: {', '.join(close)}"
