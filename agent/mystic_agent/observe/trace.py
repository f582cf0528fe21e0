"""Sampled traces: who is whose parent, and when a trace begins and ends.

Nothing here runs for an ordinary call. ``Tracer.pulse`` holds the clock that trampolines read; while
no trace is wanted it is ``time.perf_counter_ns`` itself. While one is wanted or running it is a
function that decides, and marks a sampled call by moving its start SAMPLED into the future: the
duration comes out negative, is outside the known extremes, and so takes the slow exit by itself.

Parents: each context (task, thread) that is inside a sampled trace has a Place in a context variable.
Synchronous calls nest strictly inside a thread, so they push and pop on the Place, which is much
cheaper than setting the variable. Coroutines interleave, so each sampled one sets a Place of its own.
A Place met in another thread than its own (a copied context, as executors make) is replaced there.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock, get_ident
from collections import deque
from contextvars import ContextVar
from time import perf_counter_ns, time_ns
from types import FrameType
from typing import TYPE_CHECKING, Any

from mystic_agent.observe import foreign
from mystic_agent.records import Attribute, SpanRecord
from mystic_agent.trampoline import ASYNC_GENERATOR, GENERATOR, MARK

if TYPE_CHECKING:
    from mystic_agent.observe.meter import Meter

SAMPLED = 1 << 62
SPANS_PER_TRACE = 2000
LONGEST_NS = 10 * 10**9
YOUNG_NS = 10**9
DEEPEST = 200

# A span while it runs, a list because nothing is cheaper to make:
# [parent span, start, meter, elapsed, the application's own span around it, trace, what is rare]
PARENT, START, METER, ELAPSED, OUTSIDE, TRACE, RARE = range(7)
Span = list[Any]

place_now: ContextVar[Place | None] = ContextVar("mystic_place", default=None)
"""Where the running code is; None outside of every sampled trace."""


class Rare:
    """What few spans have.

    Attributes:
        id: given when somebody first needs it.
        error: (type, message), redacted.
        attributes: redacted.
        before: the Place that a coroutine's own Place stands in for.
    """

    __slots__ = ("attributes", "before", "error", "id")

    def __init__(self) -> None:
        self.id = b""
        self.error: tuple[str, str] | None = None
        self.attributes: tuple[Attribute, ...] = ()
        self.before: Place | None = None


def rare(span: Span) -> Rare:
    """Return the Rare of ``span``, made when there is none."""
    if span[RARE] is None:
        span[RARE] = Rare()
    return span[RARE]  # type: ignore[no-any-return]


class Pulse:
    """The clocks that every trampoline reads; shared, so that one assignment switches the process."""

    __slots__ = ("coroutine", "generator", "sync")

    def __init__(self) -> None:
        self.sync = self.coroutine = self.generator = perf_counter_ns


class Trace:
    """One sampled trace: its id, its budget of spans, and where those that end are kept."""

    __slots__ = ("ended", "id", "left", "open", "started", "tracer")

    def __init__(self, trace_id: bytes, started: int, tracer: Tracer) -> None:
        self.id = trace_id
        self.tracer = tracer
        self.ended = tracer.ended.append
        self.left = SPANS_PER_TRACE
        self.open = True
        self.started = started


class Place:
    """Where one thread of one context is: the running span, if any, and its trace."""

    __slots__ = ("current", "thread", "trace")

    def __init__(self, current: Span | None, trace: Trace, thread: int) -> None:
        self.current = current
        self.trace = trace
        self.thread = thread


class Tracer:
    """Decides which calls become spans, and keeps those that ended until they are collected.

    Args:
        per_second: traces begun per second; ``inf`` for every root call, 0 for none.
        queue: spans kept between two collections at most; more are dropped and counted.
    """

    def __init__(self, per_second: float = 5.0, queue: int = 20_000) -> None:
        self.pulse = Pulse()
        self.dropped = 0
        self._per_second = per_second
        self._queue = queue
        self.ended: deque[Span] = deque()
        self._singles: deque[SpanRecord] = deque(maxlen=500)
        self._single_budget = 50
        self._wanted: float = 0.0
        self._traces: set[Trace] = set()
        self._generators: dict[int, Span] = {}
        self._lock = RLock()
        self._offset = time_ns() - perf_counter_ns()
        self._bind()

    # -- switching ---------------------------------------------------------------------------------

    def arm(self, seconds: float) -> None:
        """Allow the traces of the next ``seconds``; called by the agent's thread at every tick."""
        with self._lock:
            self._single_budget = 50
            self._offset = time_ns() - perf_counter_ns()
            if not self._joined and "opentelemetry.trace" in sys.modules:
                self._bind()
                self.pulse.sync = perf_counter_ns  # _switch puts the new clock in
            if self._per_second == float("inf"):
                self._wanted = self._per_second
            else:
                self._wanted = min(self._wanted + self._per_second * seconds, max(1.0, self._per_second))
            now = perf_counter_ns()
            for trace in [t for t in self._traces if now - t.started > LONGEST_NS]:
                self._close(trace)
            self._switch()

    def disarm(self) -> None:
        """Begin no further trace and end those under way."""
        with self._lock:
            self._per_second = self._wanted = 0.0
            for trace in tuple(self._traces):
                self._close(trace)
            self._switch()

    def _switch(self) -> None:
        live = (self._wanted >= 1 or self._traces) and self._per_second > 0
        pulse = self.pulse
        if live and pulse.sync is perf_counter_ns:
            pulse.sync, pulse.coroutine, pulse.generator = self._clock, self._clock_async, self._clock_generator
        elif not live:
            pulse.sync = pulse.coroutine = pulse.generator = perf_counter_ns

    def _close(self, trace: Trace) -> None:
        trace.open = False
        trace.left = 0
        self._traces.discard(trace)

    # -- the clocks of a live process --------------------------------------------------------------

    def _bind(self) -> None:
        """Make the synchronous clock a closure over locals: it runs for every call of a sampled trace."""
        get, put, ident, now, begin, shift = (
            place_now.get,
            place_now.set,
            get_ident,
            perf_counter_ns,
            self._begin,
            SAMPLED,
        )
        self._joined = "opentelemetry.trace" in sys.modules
        outside = foreign.current if self._joined else None

        def clock() -> int:
            place = get()
            if place is None:
                return begin(False)
            trace = place.trace
            if trace.left <= 0:
                return now() if trace.open else begin(False)
            if place.thread != ident():
                place = Place(place.current, trace, ident())
                put(place)
            trace.left -= 1
            started = now()
            place.current = [place.current, started, None, 0, outside() if outside is not None else None, trace, None]
            return started + shift

        self._clock = clock

    def _clock_async(self) -> int:
        place = place_now.get()
        if place is None:
            return self._begin(True)
        trace = place.trace
        if trace.left <= 0:
            return perf_counter_ns() if trace.open else self._begin(True)
        return self._enter(place.current, trace, foreign.current(), place)

    def _enter(self, parent: Span | None, trace: Trace, outside: foreign.Outside | None, before: Place | None) -> int:
        """Make a new span current in a Place of its own."""
        trace.left -= 1
        started = perf_counter_ns()
        span: Span = [parent, started, None, 0, outside, trace, None]
        if before is not None:
            rare(span).before = before
        place_now.set(Place(span, trace, get_ident()))
        return started + SAMPLED

    def _clock_generator(self) -> int:
        """A generator never becomes current: its consumer runs between its steps, in the same context."""
        place = place_now.get()
        started = perf_counter_ns()
        if place is None or place.trace.left <= 0:
            return started
        place.trace.left -= 1
        with self._lock:
            while started in self._generators:
                started += 1
            self._generators[started] = [place.current, started, None, 0, foreign.current(), place.trace, None]
        return started + SAMPLED

    def _begin(self, coroutine: bool) -> int:
        """Begin a trace here when one is wanted and no hijacked function is calling us."""
        if self._wanted < 1 or _has_young_caller(sys._getframe(2).f_back):
            return perf_counter_ns()
        with self._lock:
            if self._wanted < 1:
                return perf_counter_ns()
            self._wanted -= 1
            if len(self.ended) >= self._queue:
                self.dropped += 1
                return perf_counter_ns()
            outside = foreign.current()
            trace = Trace(outside[0] if outside else os.urandom(16), perf_counter_ns(), self)
            self._traces.add(trace)
        return self._enter(None, trace, outside, place_now.get() if coroutine else None)

    # -- ends --------------------------------------------------------------------------------------

    def fail(self, elapsed: int, error: tuple[str, str] | None) -> Span | None:
        """Note an error on the running span of this context, before it is ended."""
        place = place_now.get()
        span = place.current if place is not None else None
        if span is not None and error is not None:
            rare(span).error = error
        return span

    def end_async(self, meter: Meter, elapsed: int, error: tuple[str, str] | None) -> None:
        """End the running coroutine span, when this context is still the one it began in."""
        place = place_now.get()
        span = place.current if place is not None else None
        if span is None or abs(perf_counter_ns() - span[START] - elapsed) > YOUNG_NS:
            return
        extra = rare(span)
        extra.error = error
        place_now.set(extra.before)
        extra.before = None
        span[METER], span[ELAPSED] = meter, elapsed
        span[TRACE].ended(span)
        if span[PARENT] is None:
            self.finish(span[TRACE])

    def end_generator(self, meter: Meter, started: int, elapsed: int, error: tuple[str, str] | None) -> None:
        """End the span of the generator that began at ``started``."""
        with self._lock:
            span = self._generators.pop(started - SAMPLED, None)
        if span is not None:
            if error is not None:
                rare(span).error = error
            span[METER], span[ELAPSED] = meter, elapsed
            span[TRACE].ended(span)

    def finish(self, trace: Trace) -> None:
        """End a trace whose root has ended; calls that outlive it are no longer part of it."""
        with self._lock:
            self._close(trace)
            self._switch()

    def consider(self, meter: Meter, elapsed: int, error: tuple[str, str] | None) -> None:
        """Keep an unsampled call all the same: the first of its kind, an error, or a new slowest of over 1 ms."""
        if meter.seen and error is None and elapsed < 10**6:
            return
        meter.seen = True
        if self._per_second <= 0 or self._single_budget <= 0:
            return
        self._single_budget -= 1
        outside = foreign.current()
        end = perf_counter_ns()
        trace_id, parent = outside or (os.urandom(16), b"")
        start = end - elapsed + self._offset
        self._singles.append(
            SpanRecord(meter.function, trace_id, os.urandom(8), parent, start, start + elapsed, error, ())
        )

    def annotate(self, key: str, value: str | int | float | bool) -> None:
        """Give the running span of this context, if any, a further attribute (already redacted and bounded)."""
        place = place_now.get()
        if place is not None and place.current is not None:
            extra = rare(place.current)
            extra.attributes = (*extra.attributes, (key, value))

    @property
    def sampling(self) -> bool:
        """True when the calling context is inside a sampled call."""
        place = place_now.get()
        return place is not None and place.current is not None and place.trace.open

    # -- collecting --------------------------------------------------------------------------------

    def collect(self) -> list[SpanRecord]:
        """Return the spans that ended since the last collection, oldest first."""
        taken: list[SpanRecord] = []
        while self._singles:
            taken.append(self._singles.popleft())
        for _ in range(len(self.ended)):
            taken.append(self._record(self.ended.popleft()))
        return taken

    def _record(self, span: Span) -> SpanRecord:
        outside, parent, trace, extra = span[OUTSIDE], span[PARENT], span[TRACE], rare(span)
        nearer = outside is not None and outside[0] == trace.id and (parent is None or outside != parent[OUTSIDE])
        parent_id = outside[1] if nearer else _id(parent) if parent is not None else b""
        start = span[START] + self._offset
        return SpanRecord(
            span[METER].function,
            trace.id,
            _id(span),
            parent_id,
            start,
            start + span[ELAPSED],
            extra.error,
            extra.attributes,
        )

    def reset(self) -> None:
        """Forget everything under way, as a forked child does."""
        self._lock = RLock()
        for trace in tuple(self._traces):
            self._close(trace)
        self._generators.clear()
        self.ended.clear()
        self._singles.clear()
        self._wanted = 0.0
        self._switch()


def _id(span: Span) -> bytes:
    extra = rare(span)
    if not extra.id:
        extra.id = os.urandom(8)
    return extra.id


def _has_young_caller(frame: FrameType | None) -> bool:
    """True when a hijacked function that began less than a second ago is calling, so that we are no root.

    An older one is a loop or a server around us. The search ends where an event loop runs a callback.
    """
    now = perf_counter_ns()
    for _ in range(DEEPEST):
        if frame is None:
            return False
        code = frame.f_code
        if code.co_filename.startswith(MARK):
            started = frame.f_locals.get("_mystic_t")
            if not code.co_flags & (GENERATOR | ASYNC_GENERATOR) and isinstance(started, int):
                return now - started < YOUNG_NS
        elif code.co_name == "_run" and code.co_filename.endswith("events.py"):
            return False
        frame = frame.f_back
    return False
