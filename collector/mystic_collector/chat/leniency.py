"""Calls as models make them: null for an absent argument, a name a little wrong."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types import CallToolResult, TextContent, Tool

from mystic_collector.chat.captured import line


def lenient(tools: Callable[[], Awaitable[Sequence[Tool]]], hidden: Collection[str]) -> ServerMiddleware[Any]:
    """Return middleware for calls of tools.

    Args:
        tools: the tools that are offered.
        hidden: names of tools that a read-only chat does not offer.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        params = ctx.params
        if ctx.method != "tools/call" or params is None:
            return await call_next(ctx)
        name, given = params.get("name"), params.get("arguments")
        if isinstance(name, str):
            offered = {one.name: one.input_schema.get("properties") or {} for one in await tools()}
            if name not in offered:
                return _refused(_unknown(name, offered, hidden))
            if isinstance(given, dict) and (wrong := _surplus(name, given, offered[name])):
                return _refused(wrong)
        if isinstance(given, dict) and None in given.values():
            arguments = {key: value for key, value in given.items() if value is not None}
            ctx = replace(ctx, params={**params, "arguments": arguments})
        return await call_next(ctx)

    return middleware


def _refused(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _surplus(name: str, given: Collection[str], taken: Collection[str]) -> str:
    """Say which argument there is not: what is left out for a slip of the pen would change more than was meant.

    Of a tool that takes none nothing is said: some clients send something because they must send an object.
    """
    unknown = next((one for one in given if one not in taken), None)
    if unknown is None or not taken:
        return ""
    close = difflib.get_close_matches(unknown, taken, 1, 0.5)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{name} takes no {line(unknown, 60)!r}; {meant}it takes: {', '.join(taken)}; nothing was done"


def _unknown(name: str, offered: Collection[str], hidden: Collection[str]) -> str:
    if name in hidden:
        return f"{name} changes the service, and this chat is read-only (MYSTIC_CHAT_READ_ONLY); nothing was changed"
    close = difflib.get_close_matches(name, offered, 3, 0.5) or sorted(offered)
    return f"there is no tool {line(name, 60)!r}; there are: {', '.join(close)}"
