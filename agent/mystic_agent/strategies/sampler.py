"""What is noted of the calls of one function for its analysis: bounded in time, in memory and in what is sent."""

from __future__ import annotations

import _thread
import os
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns, thread_time_ns, time_ns
from typing import Any

from mystic_agent.cache.frozen import ENTRY_BYTES, transient, weight
from mystic_agent.cache.key import SIMPLE, Unkeyable
from mystic_agent.contract import analysis
from mystic_agent.contract.analysis import FAILED, MOST_ACCESSES, MUTATED, RESULT, WHOLE, Access
from mystic_agent.contract.named import NamedTuple
from mystic_agent.guard import FAULTS, UNWATCHED
from mystic_agent.observe.events import DEBUG, Events
from mystic_agent.strategies.selves import Selves

CALLS, TOTAL, SPENT, DEEP = range(4)
"""Cells: calls that ended, and ns that they took; ns that the analysis took, and those of them after sampled calls."""

SHARE_OF_FUNCTION = 0.01
"""Of the time that calls themselves take: what looking at them may cost in addition to the share of a core."""

RAREST = 256
"""One in so many sampled calls has its result compared, when that is dear; all of them when it is not."""

DOUBTFUL_NS = 100_000
"""After a look that took longer, looking is timed by the thread's own processor time, which is dearer to read."""

LEAST = WHOLE >> 12
"""The smallest sample of keys; what would need a smaller one is left alone."""

LEAST_LEFT = 50
"""Accesses that may be told of every stretch, however many the ones before had."""

ENOUGH_CALLS, MOST_KEYLESS = 100, 0.9
"""It is hopeless when, of so many calls or more, a larger share has no key."""

MOST_REASONS = 20
"""Distinct reasons that are counted; further ones are "other"."""

MOST_PARTS = 1000
"""Of arguments and results, that are opened to estimate what they weigh."""

PAUSE_STRETCHES = 10
"""For which calls pass unseen after looking at them cost too much."""

_SIMPLE = frozenset(SIMPLE)
_OF_THE_SYSTEM = frozenset({"_socket", "_thread", "_ssl", "socket", "ssl", "threading"})

Digest = Callable[[tuple[Any, ...]], int]


class Begun(NamedTuple):
    """A call of a sampled key that has begun."""

    key: int
    values: tuple[Any, ...]
    mutable: bool


class Sampler:
    """The sample of one function in one process.

    Args:
        digest: see :func:`mystic_agent.cache.digest.digests`.
        share: of one core, that looking at calls may cost.
        accesses: told in a second on average, and MOST_ACCESSES at once; one takes 39 bytes.
        selves: for a method, what stands for its first argument.
        clock: nanoseconds, monotonic.
        wall: Unix nanoseconds.

    Attributes:
        clock: see above; calls are timed by it.
        session: what is told belongs to it; another one after every rest, and in a forked child.
        threshold: digests below it are sampled.
        h: cells that calls write without a lock, as a Meter's.
        resting: True while calls pass unseen, because looking at them cost more than allowed.
        rests: how often that happened.
        spent_ns: what the analysis took in the stretch that was told last.
        hopeless: True when next to none of the calls told so far has a key.
        guard: of the hijack that the calls are noted for now.
    """

    def __init__(
        self,
        digest: Digest,
        share: float,
        accesses: int,
        selves: Selves | None = None,
        clock: Callable[[], int] = perf_counter_ns,
        wall: Callable[[], int] = time_ns,
    ) -> None:
        self.clock = clock
        self.guard = UNWATCHED
        self.h = [0, 0, 0, 0]
        self.resting = False
        self.rests = 0
        self.spent_ns = 0
        self._selves = selves
        self._digest = digest
        self._share = share
        self._accesses = accesses
        self._wall = wall
        self._timer = clock
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Become a session of its own: calls before it count for nothing."""
        self.session = os.urandom(8).hex()
        self.threshold = WHOLE
        self._sequence = 0
        self._lock = _thread.RLock()
        self._waiting: deque[Access] = deque()
        self._unkeyable: dict[str, int] = {}
        self._results: dict[str, int] = {}
        self._anchor = self._wall() - self.clock()
        self._paused = 0
        self._every, self._turn, self._size = 1, 0, 0
        self.hopeless = False
        self._calls = self._keyless = 0
        self._left = MOST_ACCESSES
        self.h[CALLS] = self.h[TOTAL] = 0
        self._next_stretch(self.clock())

    def _next_stretch(self, now: int) -> None:
        self._begin = now
        self._allowed_ns = int(self._share * 1e9)

    def reset(self) -> None:
        """Be a new sampler, as a forked child must."""
        self.resting = False
        self._begin_anew()

    # -- on the call path --------------------------------------------------------------------------

    def look(self, values: tuple[Any, ...]) -> Begun | None:
        """Return the call's sampled key, or None when its key is not sampled or it has none."""
        timer = self._timer
        began = timer()
        try:
            if self._selves is not None:
                values = (self._selves.stands_for(values[0]), *values[1:])
            key = self._digest(values)
            if key >= self.threshold:
                return None
            return Begun(key, values, not _SIMPLE.issuperset(map(type, values)))
        except Unkeyable as why:
            self._count(self._unkeyable, why.reason)
        except FAULTS as error:  # of an argument that does not want to be looked at, as for a cache
            self._count(self._unkeyable, f"key failed: {type(error).__name__}")
        finally:
            spent = timer() - began
            if spent > DOUBTFUL_NS and timer is not thread_time_ns:  # other threads may have had the processor
                self._timer, spent = thread_time_ns, 0
            self.h[SPENT] += spent
            if self.h[SPENT] > self._allowed_ns:
                self._over()
        return None

    def ended(self, begun: Begun | None, started: int, ended: int, result: Any, failed: bool) -> None:
        """Take a call that ran from ``started`` to ``ended``."""
        h, took = self.h, ended - started
        h[CALLS] += 1
        h[TOTAL] += took
        if begun is not None:
            before = thread_time_ns()
            self.guard.run("analyze", self._take, None, begun, started, took, result, failed)
            spent = thread_time_ns() - before
            h[SPENT] += spent
            h[DEEP] += spent

    def _take(self, begun: Begun, started: int, took: int, result: Any, failed: bool) -> None:
        self._turn += 1
        flags, digest, size = FAILED, 0, 0
        if not failed:
            flags, digest, size = (0, 0, self._size) if self._turn % self._every else self._compared(begun, result)
        self._waiting.append(Access(begun.key, float(started), took / 1e9, digest, size, flags))
        if len(self._waiting) > self._left:
            self._narrow()

    def _compared(self, begun: Begun, result: Any) -> tuple[int, int, int]:
        """Return flags, the result's digest, and what a cache would keep."""
        flags, digest, size = self._result(result)
        if begun.mutable:
            try:
                if self._digest(begun.values) != begun.key:
                    flags |= MUTATED
            except Unkeyable:
                flags |= MUTATED
        self._size = size + weight(begun.values, MOST_PARTS) + ENTRY_BYTES
        return flags, digest, self._size

    def _result(self, result: Any) -> tuple[int, int, int]:
        """Return flags, digest and size of a result."""
        try:
            return RESULT, self._digest((result,)), weight(result, MOST_PARTS)
        except Unkeyable:
            kind = type(result)
            single = kind.__module__ in _OF_THE_SYSTEM or transient(result)
            self._count(self._results, f"{'single use: ' if single else ''}{kind.__module__}.{kind.__qualname__}"[:200])
            return 0, 0, weight(result, MOST_PARTS)

    def _count(self, reasons: dict[str, int], reason: str) -> None:
        with self._lock:
            if reason not in reasons and len(reasons) >= MOST_REASONS:
                reason = "other"
            reasons[reason] = reasons.get(reason, 0) + 1

    def _narrow(self) -> None:
        """Sample fewer keys from now on, so that about three quarters of what waits remains."""
        with self._lock:
            if len(self._waiting) <= self._left:
                return
            keys = sorted(one.key for one in tuple(self._waiting))
            self.threshold = min(keys[len(keys) * 3 // 4], self.threshold * 3 // 4)
            if self.threshold < LEAST:
                self._rest()
            for _ in range(len(self._waiting)):
                one = self._waiting.popleft()
                if one.key < self.threshold:
                    self._waiting.append(one)

    def _over(self) -> None:
        """Looking cost what it may: compare fewer results, then sample fewer keys, then look at nothing for a while."""
        with self._lock:
            h = self.h
            if h[SPENT] <= self._allowed_ns + min(h[TOTAL] * SHARE_OF_FUNCTION, 2 * self._allowed_ns):
                return
            dear = h[DEEP] > h[SPENT] // 2
            if dear and self._every < RAREST:
                self._every *= 4
                self._allowed_ns += int(self._share * 0.25e9)
            elif dear and self.threshold // 2 >= LEAST:
                self.threshold //= 2
                self._allowed_ns += int(self._share * 0.25e9)
            else:
                self._rest()

    def _rest(self) -> None:
        self.resting = True
        self.rests += 1
        self._paused = PAUSE_STRETCHES

    # -- on the agent's thread ---------------------------------------------------------------------

    def ship(self, events: Events) -> None:
        """Tell what was seen since the last time; after a rest, begin anew."""
        now, h = self.clock(), self.h
        spent, deep = h[SPENT], h[DEEP]
        h[SPENT] -= spent
        h[DEEP] -= deep
        self.spent_ns = spent
        if self.resting:
            self._paused -= 1
            if self._paused <= 0:
                self._begin_anew()
                self.resting = False
            return
        calls, total = h[CALLS], h[TOTAL]
        if not calls:
            self._allowed_ns = int(self._share * 1e9)
            return
        h[CALLS] -= calls
        h[TOTAL] -= total
        seen = [self._waiting.popleft() for _ in range(len(self._waiting))]
        unkeyable, self._unkeyable = self._unkeyable, {}
        results, self._results = self._results, {}
        begin, threshold = self._begin, self.threshold
        self._calls += calls
        self._keyless += sum(unkeyable.values())
        self.hopeless = self._calls >= ENOUGH_CALLS and self._keyless > MOST_KEYLESS * self._calls
        elapsed = (now - begin) / 1e9
        self._next_stretch(now)
        left = self._left - len(seen) + int(self._accesses * elapsed)
        self._left = min(max(left, LEAST_LEFT), MOST_ACCESSES)
        base = min((one.start for one in seen), default=float(begin))
        packed = [one._replace(start=(one.start - base) / 1e9) for one in seen if one.key < threshold][:MOST_ACCESSES]
        import json

        own = self._selves.own if self._selves is not None else None
        stretch: dict[str, str | int] = {
            analysis.SESSION: self.session,
            analysis.SEQUENCE: self._sequence,
            analysis.THRESHOLD: f"{threshold:x}",
            analysis.BEGIN: begin + self._anchor,
            analysis.END: now + self._anchor,
            analysis.BASE: int(base) + self._anchor,
            analysis.CALLS: calls,
            analysis.TOTAL: total,
            analysis.KINDS: json.dumps({"unkeyable": unkeyable, "results": results, "self": own}),
            analysis.IDENTITY: self._selves.identity if self._selves is not None else "",
        }
        events.put(analysis.ANALYSIS_EVENT, analysis.pack(packed), severity=DEBUG, **stretch)
        self._sequence += 1
