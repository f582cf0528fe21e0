"""Our own ways to hook the measured function, put in by the parts that the agent itself uses."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from mystic_agent.contract.strategy import parse_strategy
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.trace import Tracer
from mystic_agent.plan import Plan, compose
from mystic_agent.strategies import Subject
from mystic_agent.swap import Swapped
from mystic_agent.trampoline import kind_of

from bench.rounds import Variant
from bench.subject import fresh

CALLS_IN_A_TRACE = 1900
"""A trace holds 2,000 spans; the loop must stay below."""
METRICS, SPAN, HIT, COUNT = "Mystic, metrics only", "Mystic, sampled span", "Mystic, cache hit", "Mystic, count only"


def hooked(function: Any, tracer: Tracer, *strategies: object, counting: bool = False, **further: Any) -> Any:
    """Put the hook into ``function`` that the agent would put there; return the function.

    Args:
        strategies: as a hijack has them, outermost first.
        further: fields of the Subject.
    """
    assert isinstance(function, FunctionType)
    swap = Swapped(function)
    specs = tuple(parse_strategy(one, "bench") for one in strategies)
    meter = Meter(f"measured:{function.__qualname__}", tracer)
    given = {"keep": {}} | further
    subject = Subject(meter.function, swap.original, swap.code, kind_of(swap.code), meter, tracer, **given)
    template, constants = compose(Plan((), specs, ("",) * len(specs)), subject, counting=counting, agent=set())
    swap.install(template, constants)
    return function


def root_of(kind: str, tracer: Tracer) -> Callable[[Callable[[], Any]], Any]:
    """Return a hooked function that runs its argument, so that a trace begins and ends with it."""
    if kind == "coroutine":

        async def awaiting(work: Callable[[], Any]) -> Any:
            return await work()

        return hooked(awaiting, tracer)  # type: ignore[no-any-return]

    def calling(work: Callable[[], Any]) -> Any:
        return work()

    return hooked(calling, tracer)  # type: ignore[no-any-return]


def sampled(kind: str, name: str = SPAN) -> Variant:
    """Return the variant in which every call becomes a span of one running trace."""
    tracer = Tracer(float("inf"), queue=4 * CALLS_IN_A_TRACE)
    tracer.arm(1.0)

    def emptied() -> None:
        spans = len(tracer.collect())
        if spans < CALLS_IN_A_TRACE:
            raise RuntimeError(f"{spans} spans of {CALLS_IN_A_TRACE} calls: the loop was not sampled as a whole")

    return Variant(name, hooked(fresh(kind), tracer), CALLS_IN_A_TRACE, root_of(kind, tracer), emptied)


def variants(kind: str) -> list[Variant]:
    """Return all our ways for functions of ``kind``; a generator's result cannot be cached."""
    found = [
        Variant(METRICS, hooked(fresh(kind), Tracer(0))),
        sampled(kind),
        Variant(COUNT, hooked(fresh(kind), Tracer(0), counting=True)),
    ]
    if kind != "generator":
        found.append(Variant(HIT, hooked(fresh(kind), Tracer(0), {"cache": {"ttl": "1h"}})))
    return found
