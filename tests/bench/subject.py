"""The function that is measured, of each kind, and plain ways to wrap it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from time import perf_counter_ns
from typing import Any

import wrapt

KINDS = ("function", "coroutine", "generator")
Call = Callable[..., Any]


def fresh(kind: str) -> Any:
    """Return a new function of ``kind``; new, because the interpreter's specialisation must not be shared."""
    sources = {
        "function": "def f(a, b):\n    return a + b",
        "coroutine": "async def f(a, b):\n    return a + b",
        "generator": "def f(a, b):\n    yield a\n    yield b",
    }
    space: dict[str, Any] = {"__name__": "measured"}
    exec(sources[kind], space)
    return space["f"]


def closure(kind: str) -> Call:
    """Return the least wrapper that stays for the whole call."""
    f = fresh(kind)
    if kind == "coroutine":

        async def awaiting(*a: Any, **k: Any) -> Any:
            return await f(*a, **k)

        return awaiting
    if kind == "generator":

        def yielding(*a: Any, **k: Any) -> Any:
            yield from f(*a, **k)

        return yielding

    def calling(*a: Any, **k: Any) -> Any:
        return f(*a, **k)

    return calling


def passing(kind: str) -> Call:
    """Return a wrapper that only hands on what the call makes, and is gone before it runs."""
    f = fresh(kind)

    def calling(*a: Any, **k: Any) -> Any:
        return f(*a, **k)

    return calling


def timed_by_wrapt(kind: str) -> Call:
    """Return what one writes with wrapt: two clock readings, one record."""
    kept: deque[tuple[int, int]] = deque(maxlen=4096)

    def function(wrapped: Call, instance: Any, args: Any, kwargs: Any) -> Any:
        began = perf_counter_ns()
        try:
            return wrapped(*args, **kwargs)
        finally:
            kept.append((began, perf_counter_ns()))

    async def coroutine(wrapped: Call, instance: Any, args: Any, kwargs: Any) -> Any:
        began = perf_counter_ns()
        try:
            return await wrapped(*args, **kwargs)
        finally:
            kept.append((began, perf_counter_ns()))

    def generator(wrapped: Call, instance: Any, args: Any, kwargs: Any) -> Iterator[Any]:
        began = perf_counter_ns()
        try:
            yield from wrapped(*args, **kwargs)
        finally:
            kept.append((began, perf_counter_ns()))

    wrappers = {"function": function, "coroutine": coroutine, "generator": generator}
    return wrapt.FunctionWrapper(fresh(kind), wrappers[kind])  # type: ignore[no-any-return]


def within(kind: str, opened: Callable[[], AbstractContextManager[Any]]) -> Call:
    """Return the function with ``opened()`` around every call, for as long as the call runs."""
    f = fresh(kind)
    if kind == "coroutine":

        async def awaiting(a: Any, b: Any) -> Any:
            with opened():
                return await f(a, b)

        return awaiting
    if kind == "generator":

        def yielding(a: Any, b: Any) -> Iterator[Any]:
            with opened():
                yield from f(a, b)

        return yielding

    def calling(a: Any, b: Any) -> Any:
        with opened():
            return f(a, b)

    return calling


def recorded(kind: str, record: Callable[[int], object]) -> Call:
    """Return the function with the duration of every call handed to ``record``, in nanoseconds."""
    f = fresh(kind)
    if kind == "coroutine":

        async def awaiting(a: Any, b: Any) -> Any:
            began = perf_counter_ns()
            try:
                return await f(a, b)
            finally:
                record(perf_counter_ns() - began)

        return awaiting
    if kind == "generator":

        def yielding(a: Any, b: Any) -> Iterator[Any]:
            began = perf_counter_ns()
            try:
                yield from f(a, b)
            finally:
                record(perf_counter_ns() - began)

        return yielding

    def calling(a: Any, b: Any) -> Any:
        began = perf_counter_ns()
        try:
            return f(a, b)
        finally:
            record(perf_counter_ns() - began)

    return calling


def surrounded(kind: str, opened: Callable[[], AbstractContextManager[Any]]) -> Callable[[Callable[[], Any]], Any]:
    """Return a runner of timed loops that has ``opened()`` around each."""
    if kind == "coroutine":

        async def awaiting(work: Callable[[], Any]) -> Any:
            with opened():
                return await work()

        return awaiting

    def calling(work: Callable[[], Any]) -> Any:
        with opened():
            return work()

    return calling
