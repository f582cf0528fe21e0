"""circuit_breaker: a function that keeps failing is not called for a while, and then probed.

The state belongs to this process. Only exceptions of the kinds asked for are failures; others, a cancellation among
them, count as neither failure nor success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.breaker import CLOSED, FAILED, HALF_OPEN, NEITHER, OPEN, SUCCEEDED, Breaker, Limits
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.raised import Kinds, Raised, asked_for


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """What becomes of a generator is in the hands of its consumer."""
    if subject.kind in ("generator", "async_generator"):
        return (
            f"circuit_breaker cannot judge {subject.kind.replace('_', ' ')} functions: their consumer decides the end"
        )
    return _error(subject, options).problem


def make(
    subject: Subject, options: Mapping[str, Any], following: Stage, *, clock: Callable[[], int] = monotonic_ns
) -> Stage:
    """Return a stage that stops calling what keeps failing.

    Args:
        clock: nanoseconds, monotonic.
    """
    fuse, guard = _Fuse(subject, options, clock), subject.guard
    breaker, closed = fuse.breaker, fuse.asked[CLOSED]

    def ask() -> int | Exception | None:
        permit = breaker.closed
        try:
            if permit is None:
                return fuse.ask()
            closed()
            return permit.epoch
        except FAULTS as fault:
            guard.note("circuit_breaker", fault)
            return None

    async def broken_async(*values: Any) -> Any:
        epoch = ask()
        if isinstance(epoch, Exception):
            raise epoch
        try:
            result = await following(*values)
        except BaseException as error:
            guard.run("circuit_breaker", fuse.failed, None, epoch, error)
            raise
        try:
            fuse.tell(epoch, SUCCEEDED)
        except FAULTS as fault:  # not by the guard's run, which would be one call more
            guard.note("circuit_breaker", fault)
        return result

    def broken(*values: Any) -> Any:
        epoch = ask()
        if isinstance(epoch, Exception):
            raise epoch
        try:
            result = following(*values)
        except BaseException as error:
            guard.run("circuit_breaker", fuse.failed, None, epoch, error)
            raise
        try:
            fuse.tell(epoch, SUCCEEDED)
        except FAULTS as fault:
            guard.note("circuit_breaker", fault)
        return result

    return broken_async if subject.kind == "coroutine" else broken


class _Fuse:
    """The breaker of one function, and what is counted of it."""

    def __init__(self, subject: Subject, options: Mapping[str, Any], clock: Callable[[], int]) -> None:
        limits = Limits(
            options["failure_ratio"],
            options["failure_count"],
            options["minimum"],
            round(options["window"] * 1e9),
            round(options["open_for"] * 1e9),
            options["probes"],
        )
        self.breaker = kept(subject, "circuit_breaker", options, lambda: Breaker(limits, clock))
        self.wanted, self.excluded = Kinds(options["exceptions"]), Kinds(options["exclude"])
        self.error = _error(subject, options)
        told = {CLOSED: "closed", OPEN: "open", HALF_OPEN: "probe"}
        self.asked = {state: Decision(subject, "circuit_breaker", name) for state, name in told.items()}
        names = {CLOSED: "turned_closed", OPEN: "turned_open", HALF_OPEN: "turned_half_open"}
        self.turned = {state: Decision(subject, "circuit_breaker", name) for state, name in names.items()}

    def ask(self) -> int | Exception:
        """Return the epoch that lets the call in, or what it ends with."""
        permit = self.breaker.ask()
        try:
            if permit.turned:
                self.turned[HALF_OPEN]()
            self.asked[permit.state]()
            return self.error.make() if permit.epoch < 0 else permit.epoch
        except FAULTS:
            self.breaker.tell(permit.epoch, NEITHER)  # the call goes on without it
            raise

    def tell(self, epoch: int | None, outcome: str) -> None:
        """Hand over the outcome of a call; one that was let in by our own failure has no epoch."""
        state = self.breaker.tell(epoch, outcome) if epoch is not None else ""
        if state:
            self.turned[state]()

    def failed(self, epoch: int | None, error: BaseException) -> None:
        """Hand over a call that ended in ``error``."""
        outcome = NEITHER
        try:
            if isinstance(error, Exception) and self.wanted.has(error) and not self.excluded.has(error):
                outcome = FAILED
        finally:
            self.tell(epoch, outcome)


def _error(subject: Subject, options: Mapping[str, Any]) -> Raised:
    text = f"{subject.name} has failed too often and is not called for {options['open_for']:g} s at a time"
    return asked_for(subject, options, text)
