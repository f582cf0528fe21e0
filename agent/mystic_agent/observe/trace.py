"""Sampled traces: which calls become spans, and when a trace begins and ends.

For an ordinary call none of this runs: trampolines look at ``Pulse.live``, which is False while no trace is wanted
or running. A call inside a sampled trace is recorded by its trampoline itself (see ``templates``); what is left for
the functions here is to begin a trace, to follow it into coroutines, generators and other threads, and to end it.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock, get_ident
from collections import deque
from time import perf_counter_ns, time_ns
from types import FrameType
from typing import TYPE_CHECKING

from mystic_agent.guard import guard
from mystic_agent.observe import foreign
from mystic_agent.observe.span import (
    CURRENT,
    ELAPSED,
    METER,
    OF,
    OUTSIDE,
    OWNER,
    PARENT,
    START,
    TRACE,
    Place,
    Span,
    Trace,
    place_now,
    rare,
    span_id,
)
from mystic_agent.records import SpanRecord
from mystic_agent.trampoline import ASYNC_GENERATOR, GENERATOR, MARK

if TYPE_CHECKING:
    from mystic_agent.observe.meter import Meter

LONGEST_NS = 10 * 10**9
YOUNG_NS = 10**9
DEEPEST = 200
SINGLES_PER_TICK = 50
Entered = tuple[Place | None, Span | None, Trace | None]
_NOTHING: Entered = (None, None, None)


class Pulse:
    """What every trampoline looks at; shared, so that one assignment switches all.

    Attributes:
        live: a trace is wanted or running.
        wanted: a trace may begin.
    """

    __slots__ = ("live", "tracer", "wanted")

    def __init__(self, tracer: Tracer) -> None:
        self.live = self.wanted = False
        self.tracer = tracer

    def enter(self, meter: Meter, place: Place | None) -> Entered:
        """Begin a synchronous span that the trampoline could not begin itself; all None when there is none."""
        return guard.run("observe", self.tracer.enter, _NOTHING, meter, place)

    def enter_coroutine(self, meter: Meter, place: Place | None) -> Entered:
        """Begin the span of a coroutine, with a place of its own; return the place before it, span and trace."""
        return guard.run("observe", self.tracer.enter_coroutine, _NOTHING, meter, place)

    def enter_generator(self, meter: Meter, place: Place) -> tuple[Span | None, Trace | None]:
        """Begin the span of a generator, which never becomes current: its consumer runs between its steps."""
        return guard.run("observe", self.tracer.enter_generator, (None, None), meter, place)

    def finish(self, trace: Trace) -> None:
        """End a trace whose root has ended."""
        guard.run("observe", self.tracer.finish, None, trace)


class Tracer:
    """Decides which calls become spans, and keeps those that ended until they are collected.

    Args:
        per_second: traces begun per second; ``inf`` for every root call, 0 for none.
        queue: spans kept between two collections at most; traces that would begin beyond are dropped and counted.
    """

    def __init__(self, per_second: float = 5.0, queue: int = 20_000) -> None:
        self.pulse = Pulse(self)
        self.dropped = 0
        self.ended: deque[Span] = deque()
        self._per_second = per_second
        self._queue = queue
        self._singles: deque[SpanRecord] = deque(maxlen=500)
        self._single_budget = SINGLES_PER_TICK
        self._wanted: float = 0.0
        self._traces: set[Trace] = set()
        self._lock = RLock()
        self._offset = time_ns() - perf_counter_ns()
        self._joined = False

    # -- switching ---------------------------------------------------------------------------------

    def arm(self, seconds: float) -> None:
        """Allow the traces of the next ``seconds``; called by the agent's thread at every tick."""
        with self._lock:
            self._single_budget = SINGLES_PER_TICK
            self._offset = time_ns() - perf_counter_ns()
            self._joined = foreign.present()
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
        self.pulse.wanted = self._per_second > 0 and self._wanted >= 1
        self.pulse.live = self.pulse.wanted or (self._per_second > 0 and bool(self._traces))

    def _close(self, trace: Trace) -> None:
        trace.open = False
        trace.left = 0
        self._traces.discard(trace)

    def finish(self, trace: Trace) -> None:
        """End a trace whose root has ended; calls that outlive it are no longer part of it."""
        with self._lock:
            self._close(trace)
            self._switch()

    # -- begins ------------------------------------------------------------------------------------

    def enter(self, meter: Meter, place: Place | None) -> Entered:
        """See :meth:`Pulse.enter`."""
        if place is None or not place[OF].open:
            return self._begin(meter)
        if place[OF].left <= 0:
            return _NOTHING
        if place[OWNER] != get_ident():
            place = self._place(place[CURRENT], place[OF])
        span = place[CURRENT] = self._span(meter, place)
        return place, span, place[OF]

    def enter_coroutine(self, meter: Meter, place: Place | None) -> Entered:
        """See :meth:`Pulse.enter_coroutine`."""
        if place is None or not place[OF].open:
            return place, *self._begin(meter)[1:]
        if place[OF].left <= 0:
            return _NOTHING
        span = self._span(meter, place)
        self._place(span, place[OF])
        return place, span, place[OF]

    def enter_generator(self, meter: Meter, place: Place) -> tuple[Span | None, Trace | None]:
        """See :meth:`Pulse.enter_generator`."""
        return (self._span(meter, place), place[OF]) if place[OF].left > 0 else (None, None)

    def _span(self, meter: Meter, place: Place) -> Span:
        place[OF].left -= 1
        outside = foreign.current() if self._joined else None
        return [place[CURRENT], meter, outside, place[OF], None, 0, perf_counter_ns()]

    def _place(self, current: Span | None, trace: Trace) -> Place:
        """Set and return a place for this thread."""
        thread = get_ident()
        place: Place = [current, 0 if self._joined else thread, trace, thread]
        place_now.set(place)
        return place

    def _begin(self, meter: Meter) -> Entered:
        """Begin a trace here when one is wanted and no hijacked function is calling us."""
        # Frames above: enter, guard.run, Pulse.enter, the trampoline, and then whoever called.
        if self._wanted < 1 or _has_young_caller(sys._getframe(5)):
            return _NOTHING
        with self._lock:
            if self._wanted < 1:
                return _NOTHING
            self._wanted -= 1
            if len(self.ended) >= self._queue:
                self.dropped += 1
                return _NOTHING
            outside = foreign.current()
            trace = Trace(outside[0] if outside else os.urandom(16), perf_counter_ns(), self.ended.append)
            trace.left -= 1
            self._traces.add(trace)
            self._switch()
        span: Span = [None, meter, outside, trace, None, 0, perf_counter_ns()]
        return self._place(span, trace), span, trace

    # -- ends --------------------------------------------------------------------------------------

    def consider(self, meter: Meter, elapsed: int, error: tuple[str, str] | None) -> None:
        """Keep an unsampled call all the same: the first of its kind, an error, or a new slowest of over 1 ms."""
        if meter.seen and error is None and elapsed < 10**6:
            return
        meter.seen = True
        if self._per_second <= 0 or self._single_budget <= 0:
            return
        self._single_budget -= 1
        trace_id, parent = foreign.current() or (os.urandom(16), b"")
        end = perf_counter_ns() + self._offset
        self._singles.append(SpanRecord(meter.function, trace_id, os.urandom(8), parent, end - elapsed, end, error, ()))

    def annotate(self, key: str, value: str | int | float | bool) -> None:
        """Give the running span of this context, if any, a further attribute (already redacted and bounded)."""
        place = place_now.get()
        if place is not None and place[CURRENT] is not None:
            extra = rare(place[CURRENT])
            extra.attributes = (*extra.attributes, (key, value))

    @property
    def sampling(self) -> bool:
        """True when the calling context is inside a sampled call."""
        place = place_now.get()
        return place is not None and place[CURRENT] is not None and bool(place[OF].open)

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
        parent_id = outside[1] if nearer else span_id(parent) if parent is not None else b""
        start = span[START] + self._offset
        return SpanRecord(
            span[METER].function,
            trace.id,
            span_id(span),
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
        self.ended = deque()
        self._singles.clear()
        self._wanted = 0.0
        self._switch()


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
