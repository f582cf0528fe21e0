"""Sessions of stdio servers: each has a process of its own, and its end is seen to behind."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mystic_collector.servers.docker.container import SESSION
from mystic_collector.servers.docker.engine import gone
from mystic_collector.servers.docker.ours import Ours
from mystic_collector.servers.docker.pipe import AttachedPipe, attach
from mystic_collector.servers.docker.reading import judge
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.places import Place, Places
from mystic_collector.servers.spec import ServerSpec

_log = logging.getLogger("mystic_collector.servers")
GOODBYE = 2
"""Seconds a process has after the end of its input, before it is killed."""


@dataclass(frozen=True, slots=True)
class _Process:
    """One session's process: the server's own (``first``), or one in a container made for it."""

    pipe: AttachedPipe
    identity: str
    first: bool


class Sessions(Places):
    """The open sessions of all stdio servers.

    The process that was started with a server serves its first session; every further one that is open at the same time
    gets a container of its own from the same spec. After a session the process is begun anew.

    Args:
        most: sessions of one server at a time.
    """

    def __init__(self, ours: Ours, most: int) -> None:
        super().__init__(most)
        self._ours = ours

    @asynccontextmanager
    async def open(self, spec: ServerSpec, main: str) -> AsyncIterator[AttachedPipe]:
        """Return the pipe of a process of its own.

        Args:
            main: id of the server's own container.

        Raises:
            TooMany: when there are as many sessions as may be.
        """
        place = self.take(spec.name)
        opened: _Process | None = None
        try:
            opened = await self._process(spec, main, place.first)
            yield opened.pipe
        finally:
            self.leave(place, functools.partial(self._part, spec, place, opened))

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

    async def _part(self, spec: ServerSpec, place: Place, opened: _Process | None) -> None:
        """End a session's process, unless it was taken away meanwhile."""
        if opened is None:
            return
        try:
            if self.stands(place):
                await self._end(spec, opened)
        except ServersError as error:
            if not gone(error):
                raise
        finally:
            opened.pipe.close()

    async def _end(self, spec: ServerSpec, opened: _Process) -> None:
        """End a process; the server's own that has failed stays, for people to see why."""
        verdict = judge((await self._ours.inspect(opened.identity))["State"], spec)
        if verdict.state == "failed":
            _log.warning("server %r failed in a session: %s", spec.name, verdict.detail)
        opened.pipe.end_input()
        if not opened.first:
            await self._ours.remove_by_id(opened.identity)
        elif verdict.state != "failed":
            await self._ours.renew(opened.identity, GOODBYE)
