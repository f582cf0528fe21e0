"""cache: results served again until their ttl is over; scope: this process.

Rules: canonical type-tagged keys; what cannot be keyed safely bypasses and is counted with the reason;
concurrent misses of one key compute once; None is a value; exceptions are kept only when asked for;
mutable results are copied on the way in and out; bounded in bytes and entries; a monotonic clock.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Hashable, Mapping
from typing import Any

from mystic_agent.cache.frozen import copied, frozen, weight
from mystic_agent.cache.key import SIMPLE, Unkeyable, canonical
from mystic_agent.cache.memory import Entry, Fast, Memory
from mystic_agent.guard import FAULTS, guard
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.kept import kept

_SIMPLE = frozenset(SIMPLE)
LONGEST_FAST = 4096
FLIGHT_WAIT_SECONDS = 60.0


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """A generator is used up by its first consumer, and a result may hang on what a closure holds."""
    if subject.kind in ("generator", "async_generator"):
        kind = subject.kind.replace("_", " ")
        return f"a cache cannot serve {kind} functions: their result is used up by the first caller"
    unknown = set(options["ignore"]) - set(subject.parameters)
    if unknown:
        names = ", ".join(subject.parameters) or "none"
        return f"cache.ignore names {', '.join(sorted(unknown))}, but the parameters are {names}"
    if options["identity"] and not (subject.parameters and subject.parameters[0] in ("self", "cls")):
        return "cache.identity is for methods; this function has no self"
    return ""


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that serves kept results and keeps new ones."""
    return stage(Cached(subject, options), following)


def stage(cached: Cached, following: Stage) -> Stage:
    """Return the stage that asks ``cached`` before ``following``."""
    if cached.subject.kind == "coroutine":
        return lambda *values: cached.call_async(following, values)
    return lambda *values: cached.call(following, values)


class Cached:
    """The cache of one function.

    Attributes:
        memory: the kept results; the trampoline reads ``memory.kinds``.
    """

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        self.memory = kept(subject, "cache", options, lambda: Memory(options["max_bytes"], options["max_entries"]))
        self.subject = subject
        self.ttl_ns = int(options["ttl"] * 1e9)
        self.exceptions: bool = options["exceptions"]
        self.copy: str = options["copy"]
        self.identity: tuple[str, ...] = options["identity"]
        names = subject.parameters
        self.keyed = tuple(i for i, name in enumerate(names) if name not in options["ignore"])
        self.method = bool(names) and names[0] == "self" and 0 in self.keyed
        self.fast = bool(self.keyed) and not {subject.star, subject.double_star} & set(self.keyed) and not self.method
        self.hit = subject.meter.cell("cache", "hit")
        self.miss = subject.meter.cell("cache", "miss")

    def key(self, values: tuple[Any, ...]) -> Hashable:
        """Return the canonical key of a call; the first argument of a method by its declared identity.

        Raises:
            Unkeyable: with the reason that is counted.
        """
        parts = [values[i] for i in self.keyed]
        if self.method and self.identity:
            held = object.__getattribute__(parts[0], "__dict__")
            missing = [name for name in self.identity if name not in held]
            if missing:
                raise Unkeyable(f"self has no attribute {missing[0]} to stand for it")
            parts[0] = (type(parts[0]), tuple(held[name] for name in self.identity))
        return canonical(tuple(parts))  # type: ignore[no-any-return]

    def bypass(self, reason: str) -> None:
        """Count a call that the cache let through."""
        meter = self.subject.meter
        meter.h[meter.cell("cache", "bypass", reason)] += 1

    def look(self, values: tuple[Any, ...]) -> tuple[Hashable | None, Entry | None]:
        """Return (key, entry): the key is None when the call bypasses the cache."""
        try:
            key = self.key(values)
        except Unkeyable as why:
            self.bypass(why.reason)
            return None, None
        except FAULTS as error:
            guard.note("cache.key", error)
            self.bypass("key failed")
            return None, None
        return key, self.memory.find(key)

    def serve(self, entry: Entry) -> Any:
        """Return (or raise) what is kept."""
        if entry.failed:
            raise entry.value
        return entry.value if entry.shared else copied(entry.value)

    def keep(self, key: Hashable, values: tuple[Any, ...], value: Any, failed: bool) -> None:
        """Keep one outcome; a result that cannot be copied is not kept."""
        shared = failed or self.copy == "never" or (self.copy == "auto" and frozen(value))
        kept = value if shared else copied(value)
        fast = self._fast(values) if shared and not failed else None
        size = weight(kept) + weight(key) + 200
        entry = Entry(self.memory.clock() + self.ttl_ns, kept, failed, shared, size, fast)
        if not self.memory.put(key, entry):
            self.bypass("result larger than max_bytes")

    def _fast(self, values: tuple[Any, ...]) -> Fast | None:
        """Return how the trampoline finds this call, when all its arguments are simple and short."""
        if not self.fast:
            return None
        parts = tuple(values[i] for i in self.keyed)
        kinds: tuple[Any, ...] = tuple(map(type, parts))
        if not _SIMPLE.issuperset(kinds) or any(type(p) in (str, bytes) and len(p) > LONGEST_FAST for p in parts):
            return None
        if len(parts) == 1:
            return kinds[0], parts[0]
        return kinds, parts

    def call(self, following: Stage, values: tuple[Any, ...]) -> Any:
        """One synchronous call."""
        key, entry = self.look(values)
        if key is None:
            return following(*values)
        meter = self.subject.meter
        if entry is not None:
            meter.h[self.hit] += 1
            return self.serve(entry)
        with self.memory.lock:
            flight = self.memory.flights.get(key)
            leading = flight is None
            if flight is None:
                flight = self.memory.flights[key] = Flight(_thread.get_ident())
        if not leading and flight.owner != _thread.get_ident() and flight.ended.wait(FLIGHT_WAIT_SECONDS):
            entry = self.memory.find(key)
            if entry is not None:
                meter.h[self.hit] += 1
                return self.serve(entry)
        meter.h[self.miss] += 1
        try:
            return self._compute(key, values, following)
        finally:
            if leading:
                with self.memory.lock:
                    self.memory.flights.pop(key, None)
                flight.ended.set()

    def _compute(self, key: Hashable, values: tuple[Any, ...], following: Stage) -> Any:
        try:
            result = following(*values)
        except Exception as error:
            if self.exceptions:
                guard.run("cache.keep", self.keep, None, key, values, error, True)
            raise
        guard.run("cache.keep", self.keep, None, key, values, result, False)
        return result

    async def call_async(self, following: Stage, values: tuple[Any, ...]) -> Any:
        """One call of a coroutine function; waiters of one event loop share one computation."""
        import asyncio

        key, entry = self.look(values)
        if key is None:
            return await following(*values)
        meter = self.subject.meter
        if entry is not None:
            meter.h[self.hit] += 1
            return self.serve(entry)
        loop = asyncio._get_running_loop()
        if loop is None:  # another library drives this coroutine, trio for one
            self.bypass("no asyncio event loop")
            return await following(*values)
        flight: asyncio.Future[None] | None = self.memory.flights.get((loop, key))
        if flight is not None:
            await asyncio.shield(flight)
            entry = self.memory.find(key)
            if entry is not None:
                meter.h[self.hit] += 1
                return self.serve(entry)
        mine: asyncio.Future[None] = loop.create_future()
        leading = self.memory.flights.setdefault((loop, key), mine) is mine
        meter.h[self.miss] += 1
        try:
            result = await following(*values)
        except Exception as error:
            if self.exceptions:
                guard.run("cache.keep", self.keep, None, key, values, error, True)
            raise
        else:
            guard.run("cache.keep", self.keep, None, key, values, result, False)
            return result
        finally:
            if leading:
                self.memory.flights.pop((loop, key), None)
                if not mine.done():
                    mine.set_result(None)


class Flight:
    """One computation under way, for those who wait for it."""

    __slots__ = ("ended", "owner")

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.ended = threading.Event()
