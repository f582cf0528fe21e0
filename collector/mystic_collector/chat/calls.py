"""Questions that take longer than a client waits: they go on, and their answer can be asked for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError

MOST = 32
"""Questions that are kept, under way or answered."""


class Calls:
    """What is under way, by an id that nobody guesses; an answer goes when it has been read, or for newer ones."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[str, asyncio.Task[Any]] = {}

    def begin(self, question: Callable[[], Coroutine[Any, Any, Any]]) -> str:
        """Ask, and return the id by which the answer is to be had.

        Raises:
            ToolError: when too many are under way.
        """
        if len(self._kept) >= self._most:
            done = next((one for one, task in self._kept.items() if task.done()), None)
            if done is None:
                raise ToolError(f"{self._most} calls are under way already; wait for one of them")
            self._forget(done)
        identity = secrets.token_hex(8)
        self._kept[identity] = asyncio.create_task(question(), name=f"mystic-call-{identity}")
        return identity

    async def answer(self, identity: str, patience: float) -> Any:
        """Return the answer, or None when there is none after ``patience`` seconds.

        Raises:
            ToolError: when there is no such call, or what it ended with.
        """
        task = self._kept.get(identity)
        if task is None:
            raise ToolError(f"there is no call {identity[:40]!r} under way: its answer has been read, or is too old")
        await asyncio.wait((task,), timeout=patience)
        if not task.done():
            return None
        self._forget(identity)
        return task.result()

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._kept.values())
        self._kept.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, identity: str) -> None:
        task = self._kept.pop(identity)
        if task.done() and not task.cancelled():
            task.exception()  # seen, so that nobody complains of it
