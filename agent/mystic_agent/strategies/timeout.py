"""timeout: a call ends in TimeoutError when it takes too long.

A coroutine is cancelled at the moment where it waits, as ``asyncio.timeout`` does it; a cancellation from outside
passes through as what it is. A thread cannot be stopped from outside, so a synchronous function is refused, unless
it has a time limit among its own parameters: ``parameter`` names it, and it then gets the lower of the two limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.decision import Decision, decisions


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """Only what waits in an event loop can be ended, or what ends itself."""
    parameter = options["parameter"]
    if parameter:
        if parameter not in subject.parameters or subject.parameters.index(parameter) in (
            subject.star,
            subject.double_star,
        ):
            return f"timeout.parameter is {parameter}, but the parameters are {', '.join(subject.parameters) or 'none'}"
        return ""
    if subject.kind == "coroutine":
        return ""
    if subject.kind == "function":
        return (
            "timeout cannot end a synchronous function: its thread would go on; "
            "name its own time limit by timeout.parameter, if it has one"
        )
    return f"timeout cannot end {subject.kind.replace('_', ' ')} functions: the time of their consumer counts as theirs"


def make(
    subject: Subject, options: Mapping[str, Any], following: Stage, *, limit: Callable[[float], Any] | None = None
) -> Stage:
    """Return a stage that ends calls after ``options["after"]`` seconds.

    Args:
        limit: ``asyncio.timeout``, or what behaves like it.
    """
    if options["parameter"]:
        return _passed_on(subject, options, following)
    after, name, guard = options["after"], subject.name, subject.guard
    finished, ended = decisions(subject, "timeout", "finished", "timed_out")
    outside = Decision(subject, "timeout", "passed", "no asyncio task")

    def begin() -> Any:
        import asyncio

        if asyncio._get_running_loop() is None or asyncio.current_task() is None:
            outside()
            return None
        return (limit or asyncio.timeout)(after)

    async def limited(*values: Any) -> Any:
        scope = guard.run("timeout", begin, None)
        if scope is None:
            return await following(*values)
        try:
            async with scope:
                result = await following(*values)
        except TimeoutError as error:
            if scope.expired():
                guard.run("timeout", _explain, None, error, f"{name} took longer than {after:g} s")
                guard.run("timeout", ended, None)
            else:
                guard.run("timeout", finished, None)
            raise
        except BaseException:
            guard.run("timeout", finished, None)
            raise
        guard.run("timeout", finished, None)
        return result

    return limited


def _explain(error: TimeoutError, text: str) -> None:
    """Say what happened, where nobody else has said it."""
    if type(error) is TimeoutError and not error.args:
        error.args = (text,)


def _passed_on(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that lowers the function's own time limit."""
    position, after = subject.parameters.index(options["parameter"]), options["after"]
    lowered, kept = decisions(subject, "timeout", "lowered", "passed")
    unclear = Decision(subject, "timeout", "passed", "its time limit is no number")

    def changed(values: tuple[Any, ...]) -> tuple[Any, ...]:
        given = values[position]
        if given is not None and type(given) not in (int, float):
            unclear()
            return values
        if given is not None and given <= after:
            kept()
            return values
        lowered()
        return (*values[:position], after, *values[position + 1 :])

    def limited(*values: Any) -> Any:
        return following(*subject.guard.run("timeout", changed, values, values))

    return limited
