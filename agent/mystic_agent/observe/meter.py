"""The figures of one function, exact under threads, and the slow exits of its trampoline."""

from __future__ import annotations

import _thread
from time import perf_counter_ns

from mystic_agent.contract import wire
from mystic_agent.contract.named import NamedTuple
from mystic_agent.guard import guard
from mystic_agent.observe.span import CURRENT, ELAPSED, PARENT, TRACE, Place, Span, place_now, rare
from mystic_agent.observe.trace import Tracer
from mystic_agent.records import Count, Reading
from mystic_agent.redact import describe

BUCKETS = 64
TOTAL, LOWEST, HIGHEST, ERRORS, CALLS = 64, 65, 66, 67, 68
_NEVER = 1 << 61  # above every duration
MOST_DECISIONS = 64
_CONTROL_FLOW = (StopIteration, StopAsyncIteration)


class Standing(NamedTuple):
    """What a function has counted so far; the fields are those of ``contract.mark.Mark``."""

    buckets: tuple[int, ...]
    untimed: int
    errors: int
    total_ns: int
    decisions: dict[str, int]


_FRESH = [0] * (CALLS + 1)
_FRESH[LOWEST], _FRESH[HIGHEST] = _NEVER, -1


class Meter:
    """Counts, durations and decisions of one function in one process.

    ``h`` is one flat list that trampolines write without a lock: ``h[i] += n`` holds no call and no
    backward jump between load and store, so that the interpreter never switches threads inside it.
    Indices 0 to 63 count calls by ``duration_ns.bit_length()``; TOTAL, LOWEST, HIGHEST, ERRORS and CALLS
    (calls counted without being timed) follow, then one cell for each decision.

    Args:
        function: ``module:qualname``.
        tracer: where sampled calls go.
    """

    __slots__ = ("_cells", "_decisions", "_high", "_lock", "_low", "_reading", "function", "h", "seen", "tracer")

    def __init__(self, function: str, tracer: Tracer) -> None:
        self.function = function
        self.tracer = tracer
        self.h = _FRESH.copy()
        self.seen = False
        self._low, self._high = _NEVER, -1
        self._cells: tuple[int, ...] = ()
        self._reading: Reading | None = None
        self._decisions: dict[tuple[str, str, str, bool], int] = {}
        self._lock = _thread.RLock()

    def cell(self, strategy: str, decision: str, reason: str = "", *, untimed: bool = False) -> int:
        """Return the index in ``h`` that counts this decision, made when first asked for.

        With ``untimed`` the decision stands for a whole call that is counted there and nowhere else.
        """
        key = (strategy, decision, reason, untimed)
        with self._lock:
            index = self._decisions.get(key)
            if index is None and len(self._decisions) >= MOST_DECISIONS:
                key = (strategy, decision, "other", untimed)
                index = self._decisions.get(key)
            if index is None:
                index = self._decisions[key] = len(self.h)
                self.h.append(0)
            return index

    def note(self, elapsed: int, span: Span | None) -> None:
        """Take a duration outside the extremes known in this interval."""
        self._extreme(elapsed)
        if span is None:
            guard.run("observe", self.tracer.consider, None, self, elapsed, None)
        else:
            self.seen = True

    def fail(self, started: int, error: BaseException, place: Place | None, span: Span | None) -> None:
        """Take a synchronous call that ended in ``error``; it is an error only when it is an Exception."""
        if span is not None and place is not None:
            place[CURRENT] = span[PARENT]
        guard.run("observe", self._fail, None, perf_counter_ns() - started, error, span)

    def fail_coroutine(self, started: int, error: BaseException, before: Place | None, span: Span | None) -> None:
        """Take a coroutine that ended in ``error``; ``before`` is the place that its own stood in for."""
        elapsed = perf_counter_ns() - started
        if span is not None:
            place = place_now.get()
            if place is not None and place[CURRENT] is span:
                place_now.set(before)
        guard.run("observe", self._fail, None, elapsed, error, span)

    def fail_generator(self, started: int, error: BaseException, span: Span | None) -> None:
        """Take a generator that ended in ``error``; being closed early is no error."""
        guard.run("observe", self._fail, None, perf_counter_ns() - started, error, span)

    def _fail(self, elapsed: int, error: BaseException, span: Span | None) -> None:
        told = _told(error)
        self.count(elapsed, told is not None)
        if span is None:
            if told is not None:
                self.tracer.consider(self, elapsed, told)
            return
        if told is not None:
            rare(span).error = told
        self._end(elapsed, span)

    def succeed(self, elapsed: int, place: Place | None, span: Span | None) -> None:
        """Take a synchronous call that returned; trampolines do the same inline."""
        self.count(elapsed, False)
        if span is not None and place is not None:
            place[CURRENT] = span[PARENT]
            guard.run("observe", self._end, None, elapsed, span)

    def _end(self, elapsed: int, span: Span) -> None:
        span[ELAPSED] = elapsed
        span[TRACE].ended(span)
        if span[PARENT] is None:
            self.tracer.finish(span[TRACE])

    def count(self, elapsed: int, failed: bool) -> None:
        """Add one call of ``elapsed`` ns."""
        h = self.h
        if not h[LOWEST] <= elapsed <= h[HIGHEST]:
            self._extreme(elapsed)
        bucket = elapsed.bit_length()
        h[bucket] += 1
        h[TOTAL] += elapsed
        if failed:
            h[ERRORS] += 1

    def _extreme(self, elapsed: int) -> None:
        with self._lock:
            h = self.h
            if elapsed < h[LOWEST]:
                h[LOWEST] = elapsed
            if elapsed > h[HIGHEST]:
                h[HIGHEST] = elapsed

    @property
    def calls(self) -> int:
        """Calls so far, timed or only counted."""
        cells = tuple(self.h)
        return sum(cells[:BUCKETS]) + self._untimed(cells)

    def _untimed(self, cells: tuple[int, ...]) -> int:
        decided = sum(cells[index] for key, index in tuple(self._decisions.items()) if key[3] and index < len(cells))
        return cells[CALLS] + decided

    @property
    def decided(self) -> bool:
        """True when there may be something for :meth:`counts` to say."""
        return bool(self._decisions) or self.h[CALLS] > 0

    @property
    def total_ns(self) -> int:
        """Nanoseconds so far, of the timed calls."""
        return self.h[TOTAL]

    def forget_extremes(self) -> None:
        """Begin a new interval, so that its slowest call is noticed again; the lifetime's are kept."""
        with self._lock:
            h = self.h
            self._low, self._high = min(self._low, h[LOWEST]), max(self._high, h[HIGHEST])
            h[LOWEST], h[HIGHEST] = _NEVER, -1

    def read(self) -> Reading:
        """Return the cumulative figures; one atomic copy, so that its parts belong together.

        The same object as before is returned when nothing was called since: most functions rest most of the time.
        """
        cells = tuple(self.h)
        if cells == self._cells and self._reading is not None:
            return self._reading
        with self._lock:
            cells = tuple(self.h)
            low, high = min(self._low, cells[LOWEST]), max(self._high, cells[HIGHEST])
            called = high >= 0
            self._cells = cells
            self._reading = Reading(
                self.function,
                cells[:BUCKETS],
                cells[TOTAL],
                low if called else 0,
                high if called else 0,
                cells[ERRORS],
            )
            return self._reading

    def standing(self) -> Standing:
        """Return all that was counted so far; one atomic copy, so that its parts belong together."""
        cells = tuple(self.h)
        last = next((b for b in range(BUCKETS, 0, -1) if cells[b - 1]), 0)
        decisions: dict[str, int] = {}
        for (strategy, decision, _), count in self._sums(cells).items():
            name = f"{strategy}/{decision}"
            decisions[name] = decisions.get(name, 0) + count
        return Standing(cells[:last], self._untimed(cells), cells[ERRORS], cells[TOTAL], decisions)

    def _sums(self, cells: tuple[int, ...]) -> dict[tuple[str, str, str], int]:
        """Return per (strategy, decision, reason) the count in ``cells``, without those of zero."""
        sums: dict[tuple[str, str, str], int] = {}
        for (strategy, decision, reason, _), index in tuple(self._decisions.items()):
            if index < len(cells) and cells[index]:
                key = (strategy, decision, reason)
                sums[key] = sums.get(key, 0) + cells[index]
        return sums

    def counts(self) -> list[Count]:
        """Return the decisions counted so far, and how many calls were counted without being timed."""
        cells, base = tuple(self.h), (wire.FUNCTION, self.function)
        points = [
            Count(wire.DECISIONS, value, (base, (wire.STRATEGY, key[0]), (wire.DECISION, key[1]), *_reason(key[2])))
            for key, value in self._sums(cells).items()
        ]
        if untimed := self._untimed(cells):
            points.append(Count(wire.CALLS, untimed, (base,)))
        return points

    def reset(self) -> None:
        """Start from zero, as a forked child does; the list stays the same object."""
        self._lock = _thread.RLock()
        extra = len(self.h) - CALLS - 1
        self.h[:] = _FRESH.copy() + [0] * extra
        self._low, self._high, self.seen = _NEVER, -1, False
        self._cells, self._reading = (), None


def _told(error: BaseException) -> tuple[str, str] | None:
    """Return what is told of ``error``, or None when it is no error but control flow."""
    kind = type(error)  # isinstance would ask the exception for its __class__
    if not issubclass(kind, Exception) or issubclass(kind, _CONTROL_FLOW):
        return None
    return describe(error)


def _reason(reason: str) -> tuple[tuple[str, str], ...]:
    return ((wire.REASON, reason),) if reason else ()
