"""rate_limit: at most so many calls in a stretch of time, over all callers of this process.

A call beyond that raises, or, when it is a coroutine and ``wait`` allows it, takes its turn. A synchronous function
does not wait: its thread would be held, and with it what other work it has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import monotonic_ns
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.answer import raised
from mystic_agent.strategies.bucket import Bucket
from mystic_agent.strategies.decision import decisions
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.pause import pause, possible
from mystic_agent.strategies.raised import Raised, asked_for


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """Only a coroutine can wait without holding up a thread."""
    if options["wait"] and subject.kind != "coroutine":
        kind = "synchronous" if subject.kind == "function" else subject.kind.replace("_", " ")
        return f"rate_limit.wait is for coroutine functions; in a {kind} function calls beyond the rate can only raise"
    return _error(subject, options).problem


def make(
    subject: Subject,
    options: Mapping[str, Any],
    following: Stage,
    *,
    clock: Callable[[], int] = monotonic_ns,
    wait: Callable[[float], Awaitable[bool]] = pause,
) -> Stage:
    """Return a stage that lets calls through at the rate given.

    Args:
        clock: nanoseconds, monotonic.
        wait: pauses a coroutine for so many seconds.
    """
    kind, longest, error, guard = subject.kind, round(options["wait"] * 1e9), _error(subject, options), subject.guard
    allowed, waited, limited = decisions(subject, "rate_limit", "allowed", "waited", "limited")
    bucket = kept(
        subject, "rate_limit", options, lambda: Bucket(options["rate"], options["per"], options["burst"], clock)
    )

    def take() -> float | Exception:
        """Return the seconds to wait, or what the call ends with."""
        delay = bucket.take(longest if possible() else 0)
        if delay is None:
            limited()
            return error.make()
        (waited if delay else allowed)()
        return delay / 1e9

    async def paced(*values: Any) -> Any:
        turn = guard.run("rate_limit", take, 0.0)
        if isinstance(turn, Exception):
            raise turn
        if turn:
            try:
                await wait(turn)
            except BaseException:  # cancelled while it waited
                guard.run("rate_limit", bucket.give_back, None)
                raise
        return await following(*values)

    def paced_at_once(*values: Any) -> Any:
        try:
            over = None
            if bucket.take(0) is None:
                limited()
                over = error.make()
            else:
                allowed()
        except FAULTS as fault:  # not by the guard's run, which would be one call more
            guard.note("rate_limit", fault)
        return following(*values) if over is None else raised(kind, over)

    return paced if longest else paced_at_once


def _error(subject: Subject, options: Mapping[str, Any]) -> Raised:
    text = f"{subject.name} is limited to {options['rate']:g} calls in {options['per']:g} s"
    return asked_for(subject, options, text)
