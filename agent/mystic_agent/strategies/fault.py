"""fault: a share of calls is slow, or fails, so that people see what their service makes of it.

The calls to concern are drawn one by one. Latency comes before the call, and before the exception when both are
asked for; a synchronous function blocks its thread, as a slow dependency would.
"""

from __future__ import annotations

import random as chance
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.answer import raised
from mystic_agent.strategies.decision import decisions
from mystic_agent.strategies.pause import pause, sleep
from mystic_agent.strategies.raised import Raised, asked_for


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """An async generator begins before anything could be awaited for it."""
    if options["latency"] and subject.kind == "async_generator":
        return "fault.latency cannot delay async generator functions; fault.exception can make them fail"
    error = _error(subject, options)
    return error.problem if error is not None else ""


def make(
    subject: Subject,
    options: Mapping[str, Any],
    following: Stage,
    *,
    random: Callable[[], float] = chance.random,
    sleep: Callable[[float], object] = sleep,
    wait: Callable[[float], Awaitable[bool]] = pause,
) -> Stage:
    """Return a stage that disturbs a share of the calls.

    Args:
        random: returns a share from 0 up to 1.
        sleep: blocks for so many seconds.
        wait: the same for coroutines.
    """
    draw = _draw(subject, options, random)
    latency, kind, guard = options["latency"], subject.kind, subject.guard

    async def disturbed_async(*values: Any) -> Any:
        error = guard.run("fault", draw, _NOT)
        if error is _NOT:
            return await following(*values)
        await wait(latency)
        if error is not None:
            raise error
        return await following(*values)

    def disturbed(*values: Any) -> Any:
        try:
            error = draw()
        except FAULTS as fault:  # not by the guard's run, which would be one call more
            guard.note("fault", fault)
            error = _NOT
        if error is _NOT:
            return following(*values)
        if latency:
            sleep(latency)
        if error is not None:
            return raised(kind, error)
        return following(*values)

    return disturbed_async if latency and kind == "coroutine" else disturbed


_NOT: Any = object()
"""The call is left alone."""


def _draw(subject: Subject, options: Mapping[str, Any], random: Callable[[], float]) -> Callable[[], Exception | None]:
    """Return what decides on one call: _NOT, or the exception that it ends with, if any."""
    error, share = _error(subject, options), options["share"]
    decided, passed = decisions(subject, "fault", "delayed" if error is None else "failed", "passed")

    def draw() -> Exception | None:
        if random() >= share:
            passed()
            return _NOT  # type: ignore[no-any-return]
        made = None if error is None else error.make()
        decided()
        return made

    return draw


def _error(subject: Subject, options: Mapping[str, Any]) -> Raised | None:
    if not options["exception"]:
        return None
    return asked_for(subject, options, f"{subject.name} fails as asked for")
