"""Tools of managed servers, listed and called on behalf of somebody who has no session: the API and the chat."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import mcp_types
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from mystic_collector.servers.errors import ServersError, Unreachable
from mystic_collector.servers.figures import Figures
from mystic_collector.servers.gateway.upstream import upstream
from mystic_collector.servers.protocol import Servers
from mystic_collector.version import VERSION

T = TypeVar("T")
_log = logging.getLogger("mystic_collector.servers")
IDLE = 60.0
"""Seconds for which a client is kept after its last call, so that the next one need not wait for a new process."""

PATIENCE = 60.0
_HANDSHAKE = 90.0
_MOST_PAGES = 50


@dataclass(slots=True)
class _Line:
    """One client of one server, held open by a task of its own."""

    client: asyncio.Future[Client]
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    users: int = 0
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None


class Calls:
    """Clients of the SDK, one a server, shared by callers without a session.

    Args:
        servers: opens channels.
        figures: are told of every answer.
        idle: seconds; see :data:`IDLE`.
        patience: seconds for one answer of a server.
    """

    def __init__(self, servers: Servers, figures: Figures, idle: float = IDLE, patience: float = PATIENCE) -> None:
        self._servers = servers
        self._figures = figures
        self._idle = idle
        self._patience = patience
        self._lines: dict[str, _Line] = {}

    async def tools(self, name: str) -> list[dict[str, Any]]:
        """Return a server's tools as MCP has them.

        Raises:
            ServersError: when it cannot be reached, or refuses.
        """

        async def question(client: Client) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            cursor: str | None = None
            for _ in range(_MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                found += [one.model_dump(by_alias=True, mode="json", exclude_none=True) for one in page.tools]
                cursor = page.next_cursor
                if not cursor:
                    break
            return found

        found: list[dict[str, Any]] = await self.ask(name, "tools/list", question)
        return found

    async def call(self, name: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a tool as MCP has it: ``{"content": […], "isError": …}``.

        Raises:
            ServersError: when the server cannot be reached, or refuses.
        """

        async def question(client: Client) -> dict[str, Any]:
            result = await client.call_tool(tool, arguments)
            return result.model_dump(by_alias=True, mode="json", exclude_none=True)

        found: dict[str, Any] = await self.ask(name, "tools/call", question)
        return found

    async def ping(self, name: str) -> dict[str, Any]:
        """Return who a server says it is, once it has answered a question.

        Raises:
            ServersError: when it does not answer.
        """

        async def question(client: Client) -> dict[str, Any]:
            if client.server_capabilities.tools:  # MCP's own ping is gone since 2026-07-28
                await client.list_tools()
            info = client.server_info
            return {
                "protocol_version": client.protocol_version,
                "server_info": info.model_dump(by_alias=True, mode="json", exclude_none=True) if info else {},
            }

        found: dict[str, Any] = await self.ask(name, "tools/list", question)
        return found

    def forget(self, name: str) -> None:
        """Hang up on a server that is stopped or begun anew: the next call is to what is there then."""
        if name in self._lines:
            self._hang_up(name, self._lines[name])

    async def ask(
        self, name: str, method: str, question: Callable[[Client], Awaitable[T]], own_errors: bool = True
    ) -> T:
        """Return what ``question`` finds out from a server's client.

        Args:
            method: of MCP, that the figures are kept by; empty where nothing is asked of the server.
            own_errors: whether a refusal by the server is an error of ours; else it is passed on as the MCPError it is.

        Raises:
            ServersError: when the server cannot be reached.
        """
        begun, outcome = time.monotonic(), "error"
        line = self._line(name)
        line.users += 1
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        try:
            with anyio.fail_after(_HANDSHAKE):
                client = await asyncio.shield(line.client)
            found = await question(client)
            outcome = "ok"
            return found
        except MCPError as error:
            if error.error.code == mcp_types.CONNECTION_CLOSED:
                outcome = "lost"
                self._hang_up(name, line)
                raise await self._why(name) from error
            if not own_errors:
                raise
            told = f"the server {name!r} answered: {error.error.message}"[:2000]
            raise Unreachable(told, "check tool and arguments") from error
        except (TimeoutError, ValidationError) as error:
            self._hang_up(name, line)
            what = "did not answer in time" if isinstance(error, TimeoutError) else "answered what MCP does not know"
            raise Unreachable(f"the server {name!r} {what}", "read its logs, or restart it") from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            self._hang_up(name, line)
            raise await self._why(name) from error
        finally:
            if method:
                self._figures.called(name, method, outcome, time.monotonic() - begun)
            line.users -= 1
            if not line.users and not line.leave.is_set():
                line.timer = asyncio.get_running_loop().call_later(self._idle, self._hang_up, name, line)

    def _line(self, name: str) -> _Line:
        line = self._lines.get(name)
        if line is None or line.leave.is_set():
            line = self._lines[name] = _Line(asyncio.get_running_loop().create_future())
            line.task = asyncio.create_task(self._hold(name, line), name=f"calls of {name}")
        return line

    def _hang_up(self, name: str, line: _Line) -> None:
        line.leave.set()
        if line.timer is not None:
            line.timer.cancel()
        if self._lines.get(name) is line:
            del self._lines[name]

    async def _hold(self, name: str, line: _Line) -> None:
        """Keep a client open until it is told to leave or its server has gone; in one task, as the SDK asks for."""
        cause: Exception | None = None
        try:
            async with AsyncExitStack() as stack:
                channel = await stack.enter_async_context(self._servers.open(name))
                info = mcp_types.Implementation(name="gnosis-mystic", version=VERSION)
                client = Client(upstream(channel), client_info=info, read_timeout_seconds=self._patience, cache=None)
                await stack.enter_async_context(client)
                line.client.set_result(client)
                await line.leave.wait()
        except Exception as error:  # noqa: BLE001 - whatever the SDK's transports raise, its callers are told
            cause = error
        finally:
            self._hang_up(name, line)
            if not line.client.done():
                line.client.set_exception(self._told(name, cause))
                line.client.exception()  # that nobody waits for it is fine

    @staticmethod
    def _told(name: str, cause: Exception | None) -> ServersError:
        if isinstance(cause, ServersError):
            return cause
        _log.info("the server %r could not be spoken to: %r", name, cause)
        return Unreachable(f"the server {name!r} does not speak MCP ({type(cause).__name__})", "read its logs")

    async def _why(self, name: str) -> ServersError:
        found = await self._servers.status(name)
        detail = f": {found.detail}" if found.detail else ""
        return Unreachable(f"the server {name!r} has ended{detail}", found.remedy or "call again, and read its logs")

    async def close(self) -> None:
        """Let all clients go."""
        lines = list(self._lines.items())
        for name, line in lines:
            self._hang_up(name, line)
        tasks = [line.task for _, line in lines if line.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=10.0)
