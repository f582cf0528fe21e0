"""A page that follows a server's log leaves it without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from mystic_collector.servers.managed import Managed
from mystic_collector.servers.server import LogLine
from mystic_collector.settings import Settings

from .contract import settled
from .memory import MemoryLaboratory, MemoryServers

PATIENCE = 20.0


class LeavingSlowly(MemoryServers):
    """Ends a log after some rounds of the loop, as one does that closes a connection."""

    begun, left = 0, 0

    async def follow(self, name: str, tail: int = 0, since: float = 0.0) -> AsyncIterator[LogLine]:
        self.begun += 1
        try:
            async for line in super().follow(name, tail, since):
                yield line
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.left += 1


@pytest.mark.anyio
async def test_a_reader_that_goes_away_leaves_no_error_and_nothing_that_reads_on(tmp_path: Path) -> None:
    servers = LeavingSlowly({}, lambda secret: "", 5, 5)
    managed = Managed(Settings(project_root=tmp_path), servers)
    await servers.start(MemoryLaboratory(tmp_path, tmp_path).spec("live"))
    await settled(servers, "live")

    async def read() -> None:
        async for _ in managed.follow("live", 10, 0.0):
            pass

    async with asyncio.timeout(PATIENCE), anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        while not servers.begun:
            await asyncio.sleep(0)
        tasks.cancel_scope.cancel()  # as the server does with an answer whose reader is gone: again and again
    assert servers.left == 1
