"""MCP without sessions (2026-07-28), for servers that may know nothing of it: requests over one shared client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import mcp_types as types
from mcp.client.client import Client
from mcp.server import Server
from mcp.server._streamable_http_modern import handle_modern_request
from mcp.shared.exceptions import MCPError
from starlette.types import Receive, Scope, Send

from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.gateway.calls import Calls

T = TypeVar("T")
_Context = Any
"""The SDK's own; nothing of it is needed."""


class Sessionless:
    """Answers requests that stand for themselves.

    They share the client that calls of the API and the chat use, and so one process of a stdio server: there is nobody
    to keep apart. What needs a session (subscriptions, questions of the server to its client) is not offered.

    Args:
        calls: holds the clients.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def handle(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to the server ``name``.

        Raises:
            ServersError: when it cannot be reached.
        """
        server = await self._calls.ask(name, "", lambda client: self._server(name, client))
        await handle_modern_request(server, None, False, {}, scope, receive, send)

    async def _server(self, name: str, client: Client) -> Server[Any]:
        """Return a server that offers what the one behind it offers."""
        info, offers = client.server_info, client.server_capabilities
        handlers: dict[str, Any] = {}
        if offers.tools:
            handlers |= {"on_list_tools": self._list_tools(name), "on_call_tool": self._call_tool(name)}
        if offers.resources:
            handlers |= self._resources(name)
        if offers.prompts:
            handlers |= self._prompts(name)
        if offers.completions:
            handlers["on_completion"] = self._complete(name)
        return Server(
            info.name if info else name,
            version=info.version if info else "",
            title=info.title if info else None,
            instructions=client.instructions,
            **handlers,
        )

    async def _ask(self, name: str, method: str, question: Callable[[Client], Awaitable[T]]) -> T:
        try:
            return await self._calls.ask(name, method, question, own_errors=False)
        except ServersError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error), error.to_json()) from error

    def _list_tools(self, name: str) -> Any:
        async def handler(ctx: _Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
            return await self._ask(name, "tools/list", lambda client: client.list_tools(cursor=_cursor(params)))

        return handler

    def _call_tool(self, name: str) -> Any:
        async def handler(ctx: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
            return await self._ask(name, "tools/call", lambda client: client.call_tool(params.name, params.arguments))

        return handler

    def _resources(self, name: str) -> dict[str, Any]:
        async def listed(ctx: _Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
            return await self._ask(name, "resources/list", lambda client: client.list_resources(cursor=_cursor(params)))

        async def templates(
            ctx: _Context, params: types.PaginatedRequestParams | None
        ) -> types.ListResourceTemplatesResult:
            return await self._ask(
                name, "resources/templates/list", lambda client: client.list_resource_templates(cursor=_cursor(params))
            )

        async def read(ctx: _Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
            return await self._ask(name, "resources/read", lambda client: client.read_resource(params.uri))

        return {"on_list_resources": listed, "on_list_resource_templates": templates, "on_read_resource": read}

    def _prompts(self, name: str) -> dict[str, Any]:
        async def listed(ctx: _Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
            return await self._ask(name, "prompts/list", lambda client: client.list_prompts(cursor=_cursor(params)))

        async def got(ctx: _Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
            return await self._ask(name, "prompts/get", lambda client: client.get_prompt(params.name, params.arguments))

        return {"on_list_prompts": listed, "on_get_prompt": got}

    def _complete(self, name: str) -> Any:
        async def handler(ctx: _Context, params: types.CompleteRequestParams) -> types.CompleteResult:
            argument = {"name": params.argument.name, "value": params.argument.value}
            known = params.context.arguments if params.context else None
            return await self._ask(
                name, "completion/complete", lambda client: client.complete(params.ref, argument, known)
            )

        return handler


def _cursor(params: types.PaginatedRequestParams | None) -> str | None:
    return params.cursor if params else None
