"""mock: the function is not called; a given value, exception, sequence of them, or list of yields stands for it.

A coroutine function gives an awaitable, a generator function an iterator, as the callers expect. Every caller gets
a copy of its own of what is mutable, and every raise a new exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.answer import Value, raised, returned, yielded
from mystic_agent.strategies.decision import Decision, decisions
from mystic_agent.strategies.raised import Raised

_GENERATORS = ("generator", "async_generator")


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """A value cannot be iterated over in place of a generator, and what is raised must be makeable."""
    if subject.kind in _GENERATORS and options["yields"] is None and not options["exception"]:
        return f"mock needs yields, the list of what it yields, for {subject.kind.replace('_', ' ')} functions"
    if subject.kind not in _GENERATORS and options["yields"] is not None:
        return f"mock.yields is for generator functions, and this is a {subject.kind}; give value or sequence"
    return next((one.problem for one in _outcomes(subject, options) if isinstance(one, Raised) and one.problem), "")


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that answers in place of the function."""
    outcomes, then, turn, kind = _outcomes(subject, options), options["then"], count(), subject.kind
    last, guard = len(outcomes) - 1, subject.guard
    answer = yielded if kind in _GENERATORS else returned
    took_value = Decision(subject, "mock", "yields" if kind in _GENERATORS else "value")
    took_error, passed = decisions(subject, "mock", "exception", "passed")

    def take() -> tuple[bool, Any] | None:
        """Return (raises, what) of this call, or None when the original is due."""
        position = next(turn)  # one step of the interpreter: no two threads get the same
        if position > last:
            if then == "original":
                passed()
                return None
            position = position % len(outcomes) if then == "cycle" else last
        outcome = outcomes[position]
        fails = isinstance(outcome, Raised)
        made = outcome.make()
        (took_error if fails else took_value)()
        return fails, made

    def mocked(*values: Any) -> Any:
        taken = guard.run("mock", take, None)
        if taken is None:
            return following(*values)
        fails, made = taken
        return raised(kind, made) if fails else answer(kind, made)

    return mocked


def _outcomes(subject: Subject, options: Mapping[str, Any]) -> list[Value | Raised]:
    if options["sequence"] is None and options["exception"]:
        return [Raised(options["exception"], options["message"], subject.allowed)]
    if options["sequence"] is None:
        return [Value(options["value"] if options["yields"] is None else list(options["yields"]))]
    return [_step(step, subject) for step in options["sequence"]]


def _step(step: Any, subject: Subject) -> Value | Raised:
    if isinstance(step, Mapping) and "raise" in step:
        return Raised(step["raise"], step.get("message", ""), subject.allowed)
    if isinstance(step, Mapping) and step.keys() == {"return"}:
        return Value(step["return"])
    return Value(step)
