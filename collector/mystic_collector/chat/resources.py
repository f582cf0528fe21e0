"""What a client may read by address: source, figures, traces, hijacks, the audit log; pages of at most 1 MB."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from mystic_collector.chat.captured import NOTE, clean
from mystic_collector.chat.collector import Refused
from mystic_collector.chat.names import function_meant
from mystic_collector.chat.session import Chat

MOST_CHARACTERS = 900_000
_JSON = "application/json"
T = TypeVar("T")


def add_resources(server: MCPServer[Chat], chat: Chat) -> None:
    """Offer what there is to read."""
    collector = chat.collector

    @server.resource("mystic://hijacks", title="Hijacks in force", mime_type=_JSON)
    async def hijacks() -> str:
        """Every change in force with its owner, reason, end and progress; the first page."""
        return paged(await _told(collector.get("/api/hijacks")), "hijacks", "0")

    @server.resource("mystic://hijacks/{page}", title="Hijacks in force, page by page", mime_type=_JSON)
    async def hijacks_page(page: str) -> str:
        """A further page of the hijacks in force; pages are counted from 0."""
        return paged(await _told(collector.get("/api/hijacks")), "hijacks", page)

    @server.resource("mystic://audit", title="The newest changes", mime_type=_JSON)
    async def audit() -> str:
        """Who changed what and when, the newest first; the first page."""
        return paged(await _told(collector.get("/api/audit", limit=1000)), "audit", "0")

    @server.resource("mystic://audit/{page}", title="The newest changes, page by page", mime_type=_JSON)
    async def audit_page(page: str) -> str:
        """A further page of the newest thousand changes; pages are counted from 0."""
        return paged(await _told(collector.get("/api/audit", limit=1000)), "audit", page)

    @server.resource("mystic://timeline", title="What happened lately", mime_type=_JSON)
    async def timeline() -> str:
        """Snapshots, changes and errors in order of time, the newest first."""
        return paged(await _told(collector.get("/api/state/timeline", limit=500)), "timeline", "0")

    @server.resource("mystic://patch/{hijack}", title="A hijack as a source patch", mime_type="text/x-patch")
    async def patch(hijack: str) -> str:
        """What a proven hijack does, as a patch of the project's source for git apply; by its id."""
        found = await _told(collector.get(f"/api/hijacks/{hijack}/patch"))
        refused = "".join(f"# refused: {one['function']}: {one['reason']}\n" for one in found["refused"])
        return str(clean((refused + str(found["patch"]))[:MOST_CHARACTERS]))

    @server.resource("mystic://source/{function}", title="Source of a function", mime_type="text/x-python")
    async def source(function: str) -> str:
        """A function's source as written; by any of its names."""
        name = await _told(function_meant(collector, function))
        found = await _told(collector.post("/api/functions/inspect", {"function": name}))
        text = f"# {NOTE}\n# {found['file']}:{found['line']}\n{found['source']}\n"
        return str(clean(text[:MOST_CHARACTERS]))

    @server.resource("mystic://statistics/{function}", title="Figures of a function", mime_type=_JSON)
    async def statistics(function: str) -> str:
        """A function's exact figures, with the last hour's history; by any of its names."""
        name = await _told(function_meant(collector, function))
        return paged(await _told(collector.get(f"/api/metrics/{name}")), "history", "0")

    @server.resource("mystic://trace/{trace_id}", title="A trace", mime_type=_JSON)
    async def trace(trace_id: str) -> str:
        """One sampled request with all its calls; the first page."""
        return paged(await _told(collector.get(f"/api/traces/{trace_id}")), "spans", "0")

    @server.resource("mystic://trace/{trace_id}/{page}", title="A trace, page by page", mime_type=_JSON)
    async def trace_page(trace_id: str, page: str) -> str:
        """A further page of a trace's calls; pages are counted from 0."""
        return paged(await _told(collector.get(f"/api/traces/{trace_id}")), "spans", page)


async def _told(question: Awaitable[T]) -> T:
    """Return an answer; refusals become the errors of resources.

    Raises:
        ResourceNotFoundError: when there is no such thing.
        ResourceError: for any other reason.
    """
    try:
        return await question
    except ToolError as error:
        if isinstance(error, Refused) and error.status in (404, 422):
            raise ResourceNotFoundError(str(error)) from error
        raise ResourceError(str(error)) from error


def paged(value: dict[str, Any], rows: str, page: str, most: int = MOST_CHARACTERS) -> str:
    """Return JSON of at most about ``most`` characters: ``value`` with one page of its list ``rows``.

    Raises:
        ResourceNotFoundError: when there is no such page.
    """
    pages: list[list[Any]] = [[]]
    room = most
    for one in clean(value.pop(rows)):
        size = len(json.dumps(one, default=str)) + 1
        if size > room and pages[-1]:
            pages.append([])
            room = most
        pages[-1].append(one)
        room -= size
    if not (page.isascii() and page.isdigit() and int(page) < len(pages)):
        raise ResourceNotFoundError(f"there is no page {page[:20]!r}; there are {len(pages)}, counted from 0")
    shown = {"note": NOTE, **clean(value), rows: pages[int(page)], "page": int(page), "pages": len(pages)}
    return json.dumps(shown, default=str)
