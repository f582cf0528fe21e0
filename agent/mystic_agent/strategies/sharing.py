"""The shared scope of one function's cache: signed bytes in and out, and the reason when a call cannot take part."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from time import time
from typing import Any

from mystic_agent.cache.key import Unkeyable
from mystic_agent.cache.portable import fingerprint, portable
from mystic_agent.cache.sealed import Unsealable
from mystic_agent.cache.shared import Shared
from mystic_agent.contract.named import NamedTuple
from mystic_agent.guard import FAULTS, guard
from mystic_agent.strategies import Subject


def problem(subject: Subject) -> str:
    """Return why the function cannot share its results, or an empty text."""
    if subject.shared is None:
        return (
            "cache.scope is shared, but this process has no MYSTIC_CACHE_KEY to sign entries with; "
            "give all processes the same key, or use scope process"
        )
    if set(subject.code.co_freevars) - {"__class__"}:
        return "cache.scope is shared, but the function has variables of a closure, which other processes do not see"
    if subject.name.startswith("__main__:"):
        return "cache.scope is shared, but in another process __main__ may be another program"
    return ""


class Found(NamedTuple):
    """A shared result and the seconds it has left."""

    value: Any
    left: float


class Sharing:
    """Finds and puts the results of one function.

    Args:
        subject: the function; it has ``shared``.
        shared: where and how.
        ttl: seconds a result is served; a shared one never longer than that, whatever its own clock says.
        count: takes the reason when something could not be shared.
        clock: Unix seconds.
    """

    def __init__(
        self,
        subject: Subject,
        shared: Shared,
        ttl: float,
        count: Callable[[str], None],
        clock: Callable[[], float] = time,
    ) -> None:
        self._name = subject.name
        self._of = f"{subject.hijack} {fingerprint(subject.code)}"  # the next hijack begins with nothing
        self._shelf, self._seal = shared
        self._ttl = ttl
        self._count = count
        self._clock = clock

    def key(self, key: Hashable) -> str:
        """Return the key's shared form; empty when it has none, or nobody would answer."""
        if not self._shelf.reachable:
            return ""
        try:
            return self._seal.key(self._name, self._of, portable(key))
        except Unkeyable as why:
            self._count(why.reason)
            return ""

    def find(self, shared: str) -> Found | None:
        """Return what another process has kept."""
        return self._open(shared, self._shelf.find(self._name, shared))

    async def find_async(self, shared: str) -> Found | None:
        """As :meth:`find`, from a coroutine."""
        return self._open(shared, await self._shelf.find_async(self._name, shared))

    def _open(self, shared: str, data: bytes | None) -> Found | None:
        if data is None:
            return None
        try:
            opened = self._seal.open(shared, data)
        except FAULTS as error:  # signed by a process whose types are not ours: no reason to take the hijack off here
            guard.note("cache.open", error)
            self._count("shared scope: entry cannot be read here")
            return None
        if opened is None:
            self._count("shared scope: entry not signed by us")
            return None
        left = min(opened.expires - self._clock(), self._ttl)
        return Found(opened.value, left) if left > 0 else None

    def put(self, shared: str, value: Any) -> None:
        """Have ``value`` kept for the others."""
        try:
            data = self._seal.close(shared, value, self._clock() + self._ttl)
        except Unsealable as why:
            self._count(why.reason)
            return
        self._shelf.put(self._name, shared, data, self._ttl)
