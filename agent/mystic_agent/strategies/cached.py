"""One call through the cache of its function: who computes, who waits, and who is served what is kept.

The application's code runs on the application's threads and in its contexts only. So a stale result of a synchronous
function is computed anew by one of its callers while the others are served it; for a coroutine function that is a task
of the running loop, in a copy of the caller's context, and nobody waits. When computing anew fails, the stale result is
served until its time is over.

What stands between a caller and the application's function is ``marked``, so that warnings name the caller's line.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from mystic_agent.cache.flights import Flight
from mystic_agent.cache.memory import Entry
from mystic_agent.contract.outcome import (
    BYPASS,
    HIT,
    JOINED,
    KEPT_OUT,
    MISS,
    NOT_REFRESHED,
    REFRESHED,
    RENEWED,
    SHARED_HIT,
    STALE,
    STILL_STALE,
)
from mystic_agent.guard import FAULTS
from mystic_agent.observe.span import place_now
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.decision import Decision, decisions
from mystic_agent.strategies.results import Results, Served
from mystic_agent.strategies.sharing import Found, Sharing
from mystic_agent.trampoline import marked

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Values = tuple[Any, ...]
Ahead = tuple[Hashable | None, Served | None, Entry | None]
"""(key, what is served, what is stale and to be computed anew by this caller); no key means the call passes by."""

_PASS: Ahead = (None, None, None)
_ALONE: tuple[Flight | None, Served | None] = (None, None)


class Cached(Results):
    """The cache of one function."""

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        super().__init__(subject, options)
        self.exceptions: bool = options["exceptions"]
        self.guard = subject.guard
        self.flights = self.memory.flights
        self.hit, self.from_others, self.joined, self.stale = decisions(
            subject, "cache", HIT, SHARED_HIT, JOINED, STALE
        )
        self.miss, self.renewed, self.still_stale = decisions(subject, "cache", MISS, RENEWED, STILL_STALE)
        self.refreshed, self.not_refreshed = decisions(subject, "cache", REFRESHED, NOT_REFRESHED)
        self.sharing: Sharing | None = None
        if options["scope"] == "shared" and subject.shared is not None:
            self.sharing = Sharing(subject, subject.shared, options["ttl"], lambda why: self.count(KEPT_OUT, why))

    def ahead(self, values: Values) -> Ahead:
        """Return what is known of a call before anything is computed."""
        key, entry = self.look(values)
        if key is None or entry is None:
            return key, None, None
        if self.memory.fresh(entry):
            told = self.hit
        elif self.flights.claim(key):
            newer = self.memory.find(key)
            if newer is None or not self.memory.fresh(newer):
                return key, None, entry
            self.flights.disclaim(key)  # another call has computed it anew since this one looked
            entry, told = newer, self.hit
        else:
            told = self.stale
        served = self.serve(key, entry)
        if served is not None:
            told()
        return key, served, None

    def old(self, key: Hashable, entry: Entry, told: Decision) -> Served | None:
        """Return what is stale, counted."""
        served = self.serve(key, entry)
        if served is not None:
            told()
        return served

    def found(self, key: Hashable) -> Served | None:
        """Return what another call has computed while this one waited."""
        entry = self.memory.find(key)
        return None if entry is None or not self.memory.fresh(entry) else self.old(key, entry, self.joined)

    def taken(self, key: Hashable, values: Values, found: Found | None, told: Decision) -> Served | None:
        """Keep what another process has computed."""
        if found is None:
            return None
        self.keep(key, values, found.value, round(found.left * 1e9))
        told()
        return Served(found.value)

    def learn(self, key: Hashable, values: Values, result: Any, shared: str) -> None:
        """Keep what has been computed, for the others as well when ``shared`` says under which key."""
        if self.keep(key, values, result) and shared and self.sharing is not None:
            self.sharing.put(shared, result)

    # -- functions ---------------------------------------------------------------------------------------------------

    @marked
    def call(self, following: Stage, values: Values) -> Any:
        """One call of a function."""
        key, served, old = self.guard.run("cache.look", self.ahead, _PASS, values)
        if key is None:
            return following(*values)
        if old is not None:
            return self.renew(following, values, key, old)
        flight: Flight | None = None
        if served is None:
            flight, served = self.guard.run("cache.board", self.board, _ALONE, key)
        if served is None:
            return self.lead(following, values, key, flight)
        if served.failed:
            raise served.value
        return served.value

    def board(self, key: Hashable) -> tuple[Flight | None, Served | None]:
        """Return the flight that this call leads, or what the one that led it has computed, or neither."""
        while True:
            flight, leading = self.flights.board(key)
            if leading:
                return self.ready(key, flight)
            if not self.flights.wait(flight):
                return _ALONE
            served = self.found(key)
            if served is not None or not flight.cut:
                return None, served

    def ready(self, key: Hashable, flight: Flight) -> tuple[Flight | None, Served | None]:
        """Return the flight to be led, unless the one before it has landed since this call looked."""
        served = self.guard.run("cache.look", self.found, None, key)
        if served is None:
            return flight, None
        self.flights.land(key, flight, False)
        return None, served

    @marked
    def lead(self, following: Stage, values: Values, key: Hashable, flight: Flight | None) -> Any:
        """Compute, and let those go who wait for it."""
        cut = True
        try:
            result = self.compute(following, values, key)
            cut = False
            return result
        except FAULTS:
            cut = False
            raise
        finally:
            if flight is not None:
                self.guard.run("cache.land", self.flights.land, None, key, flight, cut)

    @marked
    def renew(self, following: Stage, values: Values, key: Hashable, old: Entry) -> Any:
        """Compute a stale result anew, or give it out once more when that fails."""
        try:
            return self.compute(following, values, key, self.renewed)
        except FAULTS:
            served = self.guard.run("cache.serve", self.old, None, key, old, self.still_stale)
            if served is None:
                self.guard.run("cache.count", self.miss, None)
                raise
            return served.value
        finally:
            self.flights.disclaim(key)

    @marked
    def compute(self, following: Stage, values: Values, key: Hashable, anew: Decision | None = None) -> Any:
        """Ask the other processes, then the function; ``anew`` tells that a stale result was computed anew."""
        shared = ""
        if self.sharing is not None:
            shared, served = self.guard.run("cache.shared", self.borrow, ("", None), key, values)
            if served is not None:
                return served.value
        if anew is None:
            self.guard.run("cache.count", self.miss, None)
        try:
            result = following(*values)
        except FAULTS as error:
            if self.exceptions and anew is None:
                self.guard.run("cache.keep", self.keep_failure, None, key, error)
            raise
        self.guard.run("cache.keep", self.learn, None, key, values, result, shared)
        if anew is not None:
            self.guard.run("cache.count", anew, None)
        return result

    def borrow(self, key: Hashable, values: Values) -> tuple[str, Served | None]:
        """Return the key by which processes share the result, and the result when there is one."""
        assert self.sharing is not None  # noqa: S101 -- compute has looked
        shared = self.sharing.key(key)
        found = self.sharing.find(shared) if shared else None
        return shared, self.taken(key, values, found, self.from_others)

    # -- coroutines --------------------------------------------------------------------------------------------------

    @marked
    async def call_async(self, following: Stage, values: Values) -> Any:
        """One call of a coroutine function; callers in one event loop share one computation."""
        key, served, old = self.guard.run("cache.look", self.ahead, _PASS, values)
        if key is None:
            return await following(*values)
        if old is not None:
            served = self.guard.run("cache.renew", self.renew_later, None, following, values, key, old)
        if served is None:
            loop = _loop()
            if loop is None:  # another library drives this coroutine, trio for one
                self.guard.run("cache.count", self.count, None, BYPASS, "no asyncio event loop")
                return await following(*values)
            flight, served = await self.board_async(key, loop)
            if served is None:
                return await self.lead_async(following, values, key, loop, flight)
        if served.failed:
            raise served.value
        return served.value

    async def board_async(self, key: Hashable, loop: AbstractEventLoop) -> tuple[Flight | None, Served | None]:
        """As :meth:`board`."""
        try:
            while True:
                flight, leading = self.flights.board_loop(key, loop)
                if leading:
                    return flight, None
                if not await self.flights.wait_loop(flight):
                    return _ALONE
                served = self.found(key)
                if served is not None or not flight.cut:
                    return None, served
        except FAULTS as error:
            self.guard.note("cache.board", error)
            return _ALONE

    @marked
    async def lead_async(
        self, following: Stage, values: Values, key: Hashable, loop: AbstractEventLoop, flight: Flight | None
    ) -> Any:
        """As :meth:`lead`."""
        cut = True
        try:
            result = await self.compute_async(following, values, key)
            cut = False
            return result
        except FAULTS:
            cut = False
            raise
        finally:
            if flight is not None:
                self.guard.run("cache.land", self.flights.land_loop, None, key, loop, flight, cut)

    def renew_later(self, following: Stage, values: Values, key: Hashable, old: Entry) -> Served | None:
        """Begin to compute a stale result anew, and return it once more."""
        loop = _loop()
        renewing = self.renew_async(following, values, key)
        try:
            if loop is None:
                raise RuntimeError("no asyncio event loop")
            self.flights.hold(key, loop.create_task(renewing))
        except FAULTS:
            renewing.close()
            self.flights.disclaim(key)
        return self.old(key, old, self.stale)

    @marked
    async def renew_async(self, following: Stage, values: Values, key: Hashable) -> None:
        """Compute anew, for those who come later; a failure is counted, and nobody's."""
        place_now.set(None)  # the trace of the call that began it ends before this does
        try:
            await self.compute_async(following, values, key, self.refreshed)
        except FAULTS:
            self.guard.run("cache.count", self.not_refreshed, None)
        finally:
            self.flights.disclaim(key)

    @marked
    async def compute_async(self, following: Stage, values: Values, key: Hashable, anew: Decision | None = None) -> Any:
        """As :meth:`compute`."""
        shared = ""
        if self.sharing is not None:
            shared, served = await self.borrow_async(key, values, anew or self.from_others)
            if served is not None:
                return served.value
        if anew is None:
            self.guard.run("cache.count", self.miss, None)
        try:
            result = await following(*values)
        except FAULTS as error:
            if self.exceptions and anew is None:
                self.guard.run("cache.keep", self.keep_failure, None, key, error)
            raise
        self.guard.run("cache.keep", self.learn, None, key, values, result, shared)
        if anew is not None:
            self.guard.run("cache.count", anew, None)
        return result

    async def borrow_async(self, key: Hashable, values: Values, told: Decision) -> tuple[str, Served | None]:
        """As :meth:`borrow`."""
        assert self.sharing is not None  # noqa: S101 -- compute_async has looked
        shared = ""
        try:
            shared = self.sharing.key(key)
            found = await self.sharing.find_async(shared) if shared else None
            return shared, self.taken(key, values, found, told)
        except FAULTS as error:
            self.guard.note("cache.shared", error)
            return shared, None


def _loop() -> AbstractEventLoop | None:
    """Return the asyncio loop that runs this coroutine."""
    import asyncio

    return asyncio._get_running_loop()
