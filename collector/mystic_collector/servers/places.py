"""Places of sessions with stdio servers: as many as may be, and the end of each is seen to behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mystic_collector.servers.errors import ServersError, TooMany

_log = logging.getLogger("mystic_collector.servers")


@dataclass(slots=True)
class _Taken:
    """Of one server: how many places are taken, and whether that of its own process is."""

    open: int = 0
    first: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One session's place.

    Attributes:
        server: by name.
        first: whether the session has the process that was started with the server.
    """

    server: str
    first: bool
    taken: _Taken


class Places:
    """The places of all stdio servers.

    Args:
        most: sessions of one server at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[str, _Taken] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    def has_first(self, name: str) -> bool:
        """True while a session has the process that was started with the server, or that is being begun anew."""
        taken = self._taken.get(name)
        return taken is not None and taken.first

    def take(self, name: str) -> Place:
        """Return a place for one more session.

        Raises:
            TooMany: when there are as many as may be.
        """
        taken = self._taken.setdefault(name, _Taken())
        if taken.open >= self._most:
            raise TooMany(
                f"{name!r} has {taken.open} sessions, as many as it may have",
                "end one, or raise MYSTIC_SERVERS_MAX_SESSIONS",
            )
        place = Place(name, not taken.first, taken)
        taken.open += 1
        taken.first = True
        return place

    def leave(self, place: Place, end: Callable[[], Awaitable[None]]) -> None:
        """End a session behind; its place is free once ``end`` is over."""
        task = asyncio.create_task(self._left(place, end), name=f"end a session of {place.server}")
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _left(self, place: Place, end: Callable[[], Awaitable[None]]) -> None:
        try:
            await end()
        except ServersError as error:
            _log.warning("a session of server %r could not be ended: %s", place.server, error)
        finally:
            place.taken.open -= 1
            if place.first:
                place.taken.first = False

    def stands(self, place: Place) -> bool:
        """False once its server was taken away, or begun anew."""
        return self._taken.get(place.server) is place.taken

    def forget(self, name: str) -> None:
        """The server is taken away, or begun anew: its sessions have ended, and take no place of the next one's."""
        self._taken.pop(name, None)

    async def close(self, patience: float) -> None:
        """Wait for the ends that are under way.

        Args:
            patience: seconds.
        """
        if self._farewells:
            await asyncio.wait(tuple(self._farewells), timeout=patience)
