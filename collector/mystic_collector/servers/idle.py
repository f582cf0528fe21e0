"""Servers that are to end when nobody has spoken to them for a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.spec import ServerSpec

_log = logging.getLogger("mystic_collector.servers")


@dataclass(slots=True)
class _Watched:
    users: int = 0
    timer: asyncio.TimerHandle | None = None


class Idle:
    """Counts who speaks to each server, and stops those that nobody has spoken to for as long as their spec says.

    Args:
        stop: ends a server by name.
    """

    def __init__(self, stop: Callable[[str], Awaitable[object]]) -> None:
        self._stop = stop
        self._watched: dict[str, _Watched] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def watch(self, spec: ServerSpec) -> None:
        """Begin to count; a server without ``idle`` is never stopped."""
        if spec.idle and spec.name not in self._watched:
            self._watched[spec.name] = _Watched()
            self._wait(spec)

    def forget(self, name: str) -> None:
        """Count no more."""
        watched = self._watched.pop(name, None)
        if watched is not None and watched.timer is not None:
            watched.timer.cancel()

    @contextmanager
    def used(self, spec: ServerSpec) -> Iterator[None]:
        """Keep a server from being idle."""
        watched = self._watched.get(spec.name)
        if watched is None:
            yield
            return
        watched.users += 1
        if watched.timer is not None:
            watched.timer.cancel()
        try:
            yield
        finally:
            watched.users -= 1
            if not watched.users and self._watched.get(spec.name) is watched:
                self._wait(spec)

    def _wait(self, spec: ServerSpec) -> None:
        self._watched[spec.name].timer = asyncio.get_running_loop().call_later(spec.idle, self._over, spec)

    def _over(self, spec: ServerSpec) -> None:
        async def stopped() -> None:
            _log.info("nobody has spoken to the server %r for %g s: it is stopped", spec.name, spec.idle)
            with suppress(ServersError):  # it has gone already, or its engine has
                await self._stop(spec.name)

        task = asyncio.create_task(stopped(), name=f"stop the idle {spec.name}")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    def close(self) -> None:
        """Forget all."""
        for name in tuple(self._watched):
            self.forget(name)
