"""Sessions of stdio servers: each has a process of its own, and its end is seen to behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mystic_collector.servers.docker.container import SESSION
from mystic_collector.servers.docker.engine import gone
from mystic_collector.servers.docker.ours import Ours
from mystic_collector.servers.docker.pipe import AttachedPipe, attach
from mystic_collector.servers.docker.reading import judge
from mystic_collector.servers.errors import ServersError, TooMany
from mystic_collector.servers.spec import ServerSpec

_log = logging.getLogger("mystic_collector.servers")
_GOODBYE = 2
"""Seconds a process has after the end of its input, before it is killed."""


@dataclass(slots=True)
class _Held:
    """Sessions of one server: how many are open, and whether one of them has the process that was started with it."""

    open: int = 0
    first_taken: bool = False


@dataclass(frozen=True, slots=True)
class _Process:
    """One session's process: the server's own (``first``), or one in a container made for it."""

    pipe: AttachedPipe
    identity: str
    first: bool


class Sessions:
    """The open sessions of all stdio servers.

    The process that was started with a server serves its first session; every further one that is open at the same time
    gets a container of its own from the same spec. After a session the process is begun anew.

    Args:
        most: sessions of one server at a time.
    """

    def __init__(self, ours: Ours, most: int) -> None:
        self._ours = ours
        self._most = most
        self._held: dict[str, _Held] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    def has_first(self, name: str) -> bool:
        """True while a session has the process that was started with the server, or that is being begun anew."""
        held = self._held.get(name)
        return held is not None and held.first_taken

    def forget(self, name: str) -> None:
        """The server is taken away, with all containers: there is nothing left to be ended."""
        self._held.pop(name, None)

    @asynccontextmanager
    async def open(self, spec: ServerSpec, main: str) -> AsyncIterator[AttachedPipe]:
        """Return the pipe of a process of its own.

        Args:
            main: id of the server's own container.

        Raises:
            TooMany: when there are as many sessions as may be.
        """
        held = self._held.setdefault(spec.name, _Held())
        if held.open >= self._most:
            raise TooMany(
                f"{spec.name!r} has {held.open} sessions, as many as it may have",
                "end one, or raise MYSTIC_SERVERS_MAX_SESSIONS",
            )
        held.open += 1
        first = not held.first_taken
        held.first_taken = True
        opened: _Process | None = None
        try:
            opened = await self._process(spec, main, first)
            yield opened.pipe
        finally:
            task = asyncio.create_task(self._part(spec, held, first, opened), name=f"end a session of {spec.name}")
            self._farewells.add(task)
            task.add_done_callback(self._farewells.discard)

    async def _process(self, spec: ServerSpec, main: str, first: bool) -> _Process:
        engine = self._ours.engine
        if first:
            return _Process(await attach(engine, main), main, first)
        identity = await self._ours.create(spec, SESSION, 0)
        try:
            pipe = await attach(engine, identity)  # before it runs: nothing it says can be missed
            await engine.ask(lambda client: client.api.start(identity))
        except BaseException:
            await asyncio.shield(self._ours.remove_by_id(identity))
            raise
        return _Process(pipe, identity, first)

    async def _part(self, spec: ServerSpec, held: _Held, first: bool, opened: _Process | None) -> None:
        """End a session's process; its place is free once it is gone."""
        try:
            if opened is not None and self._held.get(spec.name) is held:  # else it was taken away meanwhile
                await self._end(spec, opened)
        except ServersError as error:
            if not gone(error):
                _log.warning("a session of server %r could not be ended: %s", spec.name, error)
        finally:
            if opened is not None:
                opened.pipe.close()
            held.open -= 1
            if first:
                held.first_taken = False

    async def _end(self, spec: ServerSpec, opened: _Process) -> None:
        """End a process; the server's own that has failed stays, for people to see why."""
        verdict = judge((await self._ours.inspect(opened.identity))["State"], spec)
        if verdict.state == "failed":
            _log.warning("server %r failed in a session: %s", spec.name, verdict.detail)
        opened.pipe.end_input()
        if not opened.first:
            await self._ours.remove_by_id(opened.identity)
        elif verdict.state != "failed":
            await self._ours.renew(opened.identity, _GOODBYE)

    async def close(self) -> None:
        """Wait for the ends that are under way."""
        if self._farewells:
            await asyncio.wait(tuple(self._farewells), timeout=_GOODBYE + 5.0)
