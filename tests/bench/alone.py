"""The strategies that are measured, each with options under which it is idle, lets calls pass, or acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any, NamedTuple

from mystic_agent.contract.recording import Recorded
from mystic_agent.observe.events import EventQueue, Events
from mystic_agent.observe.trace import Tracer
from mystic_agent.strategies.background import MOST, background
from mystic_agent.strategies.sampler import Sampler

from bench import implementation, own
from bench.rounds import Variant
from bench.subject import fresh

PARTLY = 400
"""Calls in a round of what keeps something of every call, below all bounds."""
CUSTOM = "bench-through"


class Line(NamedTuple):
    """One way to use strategies.

    Attributes:
        strategies: as a hijack has them, outermost first; ``to`` is filled in.
        calls: in one round.
        kinds: of functions for which it is measured.
        begin: takes the state that is kept, before every round.
    """

    strategies: tuple[dict[str, Any], ...]
    calls: int = 4000
    kinds: tuple[str, ...] = ("function",)
    begin: Callable[[dict[Any, Any]], object] = lambda keep: None


BOTH = ("function", "coroutine")
TAKEN = {"count": 10_000, "rate": 1000}


def _line(strategy: str, given: dict[str, Any] | None = None, **further: Any) -> Line:
    return Line(({strategy: given or {}},), **further)


def _sampler(threshold: int = -1, *, resting: bool = False) -> Callable[[dict[Any, Any]], None]:
    """Return what brings the one analysis that is kept into a state."""

    def begin(keep: dict[Any, Any]) -> None:
        for sampler in keep.values():
            assert isinstance(sampler, Sampler)
            sampler.reset()
            sampler.resting = resting
            if threshold >= 0:
                sampler.threshold = threshold

    return begin


def _drained(keep: dict[Any, Any]) -> None:
    """Wait until the new implementation has made its calls."""
    done = Event()
    while not background.put(done.set):
        pass
    if not done.wait(30):
        raise RuntimeError("the calls beside the old implementation did not end within 30 s")


ALONE: dict[str, Line] = {
    "log, not in the sample": _line("log", {"sample": 0}),
    "log, arguments and result": _line("log", {"result": True}, calls=PARTLY, kinds=BOTH),
    "snapshot, its condition is not met": _line("snapshot", {"when": "a > 100"}),
    "snapshot, all are taken": _line("snapshot", {"count": 1}),
    "snapshot, taken": _line("snapshot", TAKEN, calls=200),
    "analyze, resting": _line("analyze", {}, begin=_sampler(resting=True)),
    "analyze, key not in the sample": _line("analyze", {"share": 1}, begin=_sampler(0)),
    "analyze, noted": _line("analyze", {"share": 1}, calls=PARTLY, begin=_sampler()),
    "cache, hit": _line("cache", {"ttl": "1h"}, kinds=BOTH),
    "mock": _line("mock", {"value": 3}, kinds=BOTH),
    "block, with a value": _line("block", {"value": 3}),
    "fault, not disturbed": _line("fault", {"share": 0, "exception": "OSError"}),
    "redirect": _line("redirect", {"to": ""}, kinds=BOTH),
    "ab, by lot": _line("ab", {"to": ""}),
    "rollout, stays with the old one": _line("rollout", {"to": "", "share": 0, "key": "a"}),
    "shadow, not in the sample": _line("shadow", {"to": "", "sample": 0}),
    "shadow, new one beside": _line("shadow", {"to": "", "promote": "never"}, calls=MOST - 20, begin=_drained),
    "shadow, canary": _line(
        "shadow", {"to": "", "begin": "canary", "share": 0.5, "sample": 0, "promote": "never"}, kinds=BOTH
    ),
    "shadow, full": _line("shadow", {"to": "", "begin": "full"}, kinds=BOTH),
    "circuit_breaker, closed": _line("circuit_breaker", kinds=BOTH),
    "retry, nothing fails": _line("retry", kinds=BOTH),
    "rate_limit, allowed": _line("rate_limit", {"rate": 1e6, "burst": 1_000_000}, kinds=BOTH),
    "timeout": _line("timeout", {"after": "1h"}, kinds=("coroutine",)),
    "timeout, own limit lowered": _line("timeout", {"after": 1, "parameter": "b"}),
    "record, known call": _line("record", {"name": "bench"}),
    "replay": _line("replay", {"recording": "bench"}),
    "custom, proceeds": _line("custom", {"name": CUSTOM}, kinds=BOTH),
}

STACKS: dict[str, tuple[str, ...]] = {
    "rate_limit, circuit_breaker, retry": ("rate_limit, allowed", "circuit_breaker, closed", "retry, nothing fails"),
    "log, rate_limit, cache hit": ("log, arguments and result", "rate_limit, allowed", "cache, hit"),
    "snapshot idle, ab, retry": ("snapshot, its condition is not met", "ab, by lot", "retry, nothing fails"),
    "timeout, circuit_breaker, retry": ("timeout", "circuit_breaker, closed", "retry, nothing fails"),
}
"""Stacks of three, and what each consists of."""


def lines(kind: str) -> dict[str, Line]:
    """Return what is measured on functions of ``kind``, the stacks last."""
    found = {name: line for name, line in ALONE.items() if kind in line.kinds}
    for name, parts in STACKS.items():
        if all(part in found for part in parts):
            made = [found[part] for part in parts]
            found[name] = Line(tuple(one.strategies[0] for one in made), min(one.calls for one in made))
    return found


def variant(kind: str, name: str, line: Line) -> Variant:
    """Return a line as the stopwatch takes it; events and recordings are taken away after each round."""
    queue = EventQueue()
    keep: dict[Any, Any] = {}
    function = own.hooked(
        fresh(kind),
        Tracer(0),
        *({key: _filled(given, kind) for key, given in one.items()} for one in line.strategies),
        keep=keep,
        allowed=lambda module: module == implementation.__name__,
        events=Events("measured:f", queue),
        archive=_Archive(),
    )

    def emptied() -> None:
        if queue.dropped:
            raise RuntimeError(f"{name}: {queue.dropped} events were dropped, so that not every call was told")
        queue.collect()
        line.begin(keep)

    line.begin(keep)
    return Variant(name, function, line.calls, after=emptied)


def _filled(given: dict[str, Any], kind: str) -> dict[str, Any]:
    return given | {"to": f"{implementation.__name__}:{kind}"} if "to" in given else given


class _Archive:
    """Knows one outcome, that of the measured call; what is recorded besides is not kept."""

    def keep(self, recording: str, outcome: Recorded) -> None:
        _recorded.append(outcome)

    def load(self, recording: str, function: str, most: int, take: Callable[[Sequence[Recorded]], object]) -> None:
        take(_recorded[:1])


_recorded: list[Recorded] = []
