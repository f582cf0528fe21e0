"""Values for what a person begins to type: functions, services, traces."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from mystic_collector.chat.captured import plain
from mystic_collector.chat.collector import Collector
from mystic_collector.chat.session import Chat

MOST = 100
"""Values in one answer, by the protocol."""


def add_completion(server: MCPServer[Chat], chat: Chat) -> None:
    """Complete the arguments of prompts and addresses."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]  # the SDK leaves it untyped
    async def complete(
        reference: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        try:
            found = await _values(chat.collector, argument.name, argument.value)
        except ToolError:
            return None  # a collector that is away completes nothing
        return Completion(values=[plain(one) for one in found[:MOST]], total=len(found), has_more=len(found) > MOST)


async def _values(collector: Collector, name: str, begun: str) -> list[str]:
    if name == "function":
        found = await collector.get("/api/discovered", q=begun, limit=2 * MOST)
        return [one["function"] for one in found["functions"]]
    if name == "service":
        services = (await collector.get("/api/status"))["services"]
        return [one for one in services if begun.lower() in one.lower()]
    if name == "trace_id":
        traces = (await collector.get("/api/traces", limit=MOST))["traces"]
        return [one["trace_id"] for one in traces if one["trace_id"].startswith(begun)]
    return []
