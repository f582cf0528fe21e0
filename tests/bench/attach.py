"""Time to hijack a function and to give it back, for a thousand functions of signatures seen before."""

from __future__ import annotations

import gc
from collections.abc import Callable
from statistics import median
from time import thread_time_ns
from types import FunctionType, ModuleType

from mystic_agent.attachments import Attachments
from mystic_agent.contract.target import parse_target
from mystic_agent.observe.meter import Meter
from mystic_agent.observe.trace import Tracer
from mystic_agent.plan import Plan, compose
from mystic_agent.scope import Scope
from mystic_agent.strategies import Subject
from mystic_agent.swap import Swapped
from mystic_agent.trampoline import kind_of

from bench.figure import Figure, Target

FUNCTIONS = 1000
ROUNDS = 9
NAME = "bench_thousand"
SIGNATURES = ("a, b", "a, b=1, *rest", "a, *, flag=False", "self, key, **options")
ATTACH = Target(20, "µs")


def figures() -> list[Figure]:
    """Measure; microseconds of CPU time per function."""
    _swaps(_module())  # from here on every signature is known
    swapped = [_swaps(_module()) for _ in range(ROUNDS)]
    arrived = [_arrives(_module()) for _ in range(ROUNDS)]
    title = f"Attach and release, each of {FUNCTIONS:,} functions of known signatures"

    def of(rounds: list[tuple[float, float]], part: int) -> float:
        return median(one[part] for one in rounds)

    return [
        Figure(title, "attach: compose the hook, put the code in", of(swapped, 0), "µs", ATTACH),
        Figure(title, "release: put the original code back", of(swapped, 1), "µs"),
        Figure(title, "a module arrives: find its functions, attach them", of(arrived, 0), "µs", ATTACH),
        Figure(title, "release all", of(arrived, 1), "µs"),
    ]


def _module() -> ModuleType:
    module = ModuleType(NAME)
    for number in range(FUNCTIONS):
        source = f"def f{number}({SIGNATURES[number % len(SIGNATURES)]}):\n    return 1"
        exec(compile(source, f"/{NAME}.py", "exec"), vars(module))
    return module


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    began = thread_time_ns()
    work()
    return (thread_time_ns() - began) / FUNCTIONS / 1000


def _swaps(module: ModuleType) -> tuple[float, float]:
    tracer = Tracer(0)
    found = [one for one in vars(module).values() if isinstance(one, FunctionType)]
    swaps: list[Swapped] = []

    def attach() -> None:
        for function in found:
            swap = Swapped(function)
            meter = Meter(function.__qualname__, tracer)
            subject = Subject(meter.function, swap.original, swap.code, kind_of(swap.code), meter, tracer, {})
            swap.install(*compose(Plan(), subject, agent=frozenset()))
            swaps.append(swap)

    def release() -> None:
        for swap in swaps:
            swap.release()

    return _timed(attach), _timed(release)


def _arrives(module: ModuleType) -> tuple[float, float]:
    scope = Scope("", (), (parse_target(f"{NAME}:*"),))
    attachments = Attachments(scope, Tracer(0), "production", "bench", set())
    attach = _timed(lambda: attachments.arrive(module))
    hijacked = sum(one.state == "attached" for one in attachments.by_name.values())
    if hijacked != FUNCTIONS:
        raise RuntimeError(f"{hijacked} of {FUNCTIONS} functions were attached")
    return attach, _timed(attachments.release_all)
