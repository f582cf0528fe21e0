"""The stopwatch: unrolled loops, variants in turn, medians of thread CPU time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from statistics import median
from time import thread_time_ns
from typing import Any, NamedTuple

UNROLLED = 20
CALL = {
    "function": "f(1, 2)",
    "coroutine": "await f(1, 2)",
    "generator": "for _ in f(1, 2): pass",
}

Work = Callable[[], Any]


def directly(work: Work) -> Any:
    """Run the timed loop with nothing around it."""
    return work()


class Variant(NamedTuple):
    """One way to call a function.

    Attributes:
        name: shown in the table.
        call: the function, taking two arguments.
        calls: how often it is called in one round.
        inside: runs the timed loop within something that is not timed, such as a trace.
        after: called after each round, not timed.
    """

    name: str
    call: Callable[..., Any]
    calls: int = 4000
    inside: Callable[[Work], Any] = directly
    after: Callable[[], object] = lambda: None


def loop_over(kind: str, calls: int) -> Callable[[Callable[..., Any]], Any]:
    """Return a function that calls its argument ``calls`` times and returns nanoseconds of CPU time per call.

    Each variant needs one of its own, because the interpreter specialises every call instruction for what it calls.
    """
    prefix = "async " if kind == "coroutine" else ""
    rounds = max(calls // UNROLLED, 1)
    body = f"        {CALL[kind]}\n" * UNROLLED
    source = (
        f"{prefix}def loop(f):\n"
        f"    began = clock()\n"
        f"    for _ in range({rounds}):\n{body}"
        f"    return (clock() - began) / {rounds * UNROLLED}\n"
    )
    space: dict[str, Any] = {"clock": thread_time_ns}
    exec(source, space)  # the loop is our own text
    return space["loop"]  # type: ignore[no-any-return]


def measure(
    kind: str, variants: Iterable[Variant], rounds: int, of: Callable[[list[float]], float] = median
) -> dict[str, float]:
    """Return the nanoseconds of CPU time per call of each variant, taken in turn: ``of`` its rounds."""
    timed = [(variant, loop_over(kind, variant.calls)) for variant in variants]
    taken: dict[str, list[float]] = {variant.name: [] for variant, _ in timed}

    with asyncio.Runner() as runner:

        def once(variant: Variant, loop: Callable[[Callable[..., Any]], Any]) -> float:
            figure = variant.inside(lambda: loop(variant.call))
            if kind == "coroutine":
                figure = runner.run(figure)
            variant.after()
            return float(figure)

        for variant, loop in timed:
            once(variant, loop)
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            for variant, loop in timed:
                taken[variant.name].append(once(variant, loop))
        gc.unfreeze()
    return {name: of(figures) for name, figures in taken.items()}
