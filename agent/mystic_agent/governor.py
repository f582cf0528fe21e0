"""Keeps what the agent costs within the budget: the hottest cheap functions first only counted, then released.

The cost of one observed call is measured once in this process, on a function of our own; cost = calls × that.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns, thread_time_ns
from types import FunctionType

from mystic_agent import trampoline
from mystic_agent.attached import COUNT, OBSERVE, RELEASED, Attached
from mystic_agent.attachments import Attachments
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.templates import COUNT as COUNTING
from mystic_agent.observe.templates import OBSERVE as OBSERVING
from mystic_agent.observe.trace import Tracer
from mystic_agent.plan import observing

CALIBRATION_CALLS = 2000
CALIBRATION_ROUNDS = 5
_UNSEEN: tuple[tuple[int, ...], int, int] = ((), 0, 0)
WORTH_WATCHING = 50  # a call this many times longer than its observation is not what costs too much


class Cost:
    """Nanoseconds that one call costs when observed and when only counted."""

    __slots__ = ("count", "observe")

    def __init__(self, observe: float, count: float) -> None:
        self.observe = observe
        self.count = count


def measure() -> Cost:
    """Measure Cost on this machine: CPU time of the calling thread, the least of several rounds."""
    tracer = Tracer(0)

    def bare(a: int, b: int) -> int:
        return a

    def hooked(template: str) -> FunctionType:
        function = FunctionType(bare.__code__, {}, "bare")
        original = trampoline.original(function, function.__code__)
        constants = {**observing(Meter("mystic:cost", tracer), tracer), "O": original}
        function.__code__ = trampoline.build(template, function.__code__, constants)
        return function

    def per_call(function: Callable[[int, int], int]) -> float:
        rounds = []
        for _ in range(CALIBRATION_ROUNDS):
            began = thread_time_ns()
            for _ in range(CALIBRATION_CALLS):
                function(1, 2)
            rounds.append((thread_time_ns() - began) / CALIBRATION_CALLS)
        return min(rounds)

    floor = per_call(bare)
    observe = per_call(hooked(OBSERVING["function"])) - floor
    return Cost(max(observe, 50.0), max(per_call(hooked(COUNTING["function"])) - floor, 10.0))


class Governor:
    """Watches the cost and steps functions down.

    Args:
        attachments: what is in force.
        budget: share of one core; 0 switches the governor off.
        cost: measured with :func:`measure` when first needed.
        clock: nanoseconds, monotonic.

    Attributes:
        share: share of one core that the agent cost over the last interval.
    """

    def __init__(
        self,
        attachments: Attachments,
        budget: float,
        cost: Callable[[], Cost] = measure,
        clock: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self.share = 0.0
        self.budget = budget
        self._attachments = attachments
        self._measure = cost
        self._cost: Cost | None = None
        self._clock = clock
        self._last = clock()
        self._seen: dict[str, tuple[tuple[int, ...], int, int]] = {}

    def costs(self) -> list[tuple[str, float]]:
        """Return what one call costs, (``observe`` or ``count``, nanoseconds); nothing before the first tick."""
        return [("observe", self._cost.observe), ("count", self._cost.count)] if self._cost is not None else []

    def tick(self) -> list[str]:
        """Measure the interval that ends now; return the names of functions stepped down."""
        now = self._clock()
        elapsed, self._last = max(now - self._last, 1), now
        if self._cost is None:
            self._cost = self._measure()
        spent: list[tuple[float, Attached, float]] = []
        for attached in list(self._attachments.by_name.values()):
            cells = tuple(attached.meter.h)
            last, before, total_before = self._seen.get(attached.name, _UNSEEN)
            if cells == last:
                continue
            calls, total = attached.meter.calls, attached.meter.total_ns
            self._seen[attached.name] = (cells, calls, total)
            fresh = calls - before
            if fresh > 0 and attached.state in ("attached", "counting"):
                each = self._cost.count if attached.state == "counting" else self._cost.observe
                spent.append((fresh * each / elapsed, attached, (total - total_before) / fresh))
        self.share = sum(share for share, _, _ in spent)
        return self._step_down(spent) if self.budget > 0 and self.share > self.budget else []

    def _step_down(self, spent: list[tuple[float, Attached, float]]) -> list[str]:
        assert self._cost is not None  # noqa: S101 -- tick has measured it
        over, stepped = self.share - self.budget, []
        spent.sort(key=lambda one: one[0], reverse=True)
        for share, attached, mean in spent:
            if over <= 0:
                break
            if attached.plan is not None and attached.plan.strategies:
                continue
            if mean > WORTH_WATCHING * self._cost.observe:
                continue
            level = COUNT if attached.level == OBSERVE else RELEASED
            left = share * self._cost.count / self._cost.observe if level == COUNT else 0.0
            words = "only counted" if level == COUNT else "no longer observed"
            reason = f"{words}: observing it cost {share:.1%} of a core, over the budget of {self.budget:.1%} in all"
            self._attachments.step(attached.name, level, reason)
            over -= share - left
            stepped.append(attached.name)
        return stepped
