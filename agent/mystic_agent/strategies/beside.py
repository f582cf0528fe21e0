"""Calls of a new implementation beside those of an old one: off the callers' path, with copies, and bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context
from time import perf_counter_ns
from typing import Any

from mystic_agent.cache.frozen import frozen, weight
from mystic_agent.contract.named import NamedTuple
from mystic_agent.guard import FAULTS
from mystic_agent.observe.span import place_now
from mystic_agent.strategies import Subject
from mystic_agent.strategies.alternative import Alternative, Crossing
from mystic_agent.strategies.background import Background
from mystic_agent.strategies.compare import Incomparable
from mystic_agent.strategies.trial import Ran

MOST_BYTES = 2**20
"""Estimated bytes of arguments, or of a result, that are copied for one call."""

MOST_TASKS = 16
"""Calls of one new coroutine function under way at once."""

_ENDS = (*FAULTS, SystemExit)  # what nobody asked the new one for must not end our thread, nor the event loop


class Old(NamedTuple):
    """What the old one gave.

    Attributes:
        stage: of the trial, when the call began.
        copies: the arguments for the new one.
        context: what the new one runs in.
        ran: how the old one ran.
        result: a copy of what it returned.
        error: the type of what it raised.
    """

    stage: str
    copies: tuple[Any, ...]
    context: Context
    ran: Ran
    result: Any
    error: type[Exception] | None


Judge = Callable[[Old, Ran, Any, "BaseException | None"], None]
"""Takes what both gave: the old one, how the new one ran, and what it returned or raised."""


class Beside:
    """Where the calls are made.

    Args:
        subject: the function.
        to: the new implementation.
        behind: the thread for functions.
        tasks: calls of coroutine functions under way; event loops themselves hold tasks only weakly.
        judge: takes each outcome.
        bypass: takes the reason why a call cannot be made.
    """

    def __init__(
        self,
        subject: Subject,
        to: Alternative,
        behind: Background,
        tasks: set[Any],
        judge: Judge,
        bypass: Callable[[str], None],
    ) -> None:
        self._subject, self._to, self._behind, self._tasks = subject, to, behind, tasks
        self._judge, self._bypass = judge, bypass

    @property
    def full(self) -> bool:
        """True when no more calls can be under way."""
        return len(self._tasks) >= MOST_TASKS or self._behind.full

    def start(self, old: Old) -> bool:
        """Call the new one soon; False when there is no room."""
        if self._subject.kind != "coroutine":
            run = self._subject.guard.run
            return self._behind.put(lambda: old.context.run(run, "shadow", self._sync, None, old))
        import asyncio

        loop = asyncio._get_running_loop()
        if loop is None:
            self._bypass("no asyncio event loop")
            return True
        if self.full:
            return False
        task = loop.create_task(self._async(old), context=old.context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # the application did not make it
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _sync(self, old: Old) -> None:
        """Call the new function, on our own thread."""
        function, args, kwargs = self._new(old)
        if function is None:
            return
        crossing = Crossing(self._subject)
        started = perf_counter_ns()
        error: BaseException | None
        try:
            result, error = function(*args, **kwargs), None
        except (*_ENDS, KeyboardInterrupt) as raised:
            result, error = None, raised
        elapsed = perf_counter_ns() - started
        crossing.end()
        self._judge(old, Ran(elapsed, error is not None), result, error)

    async def _async(self, old: Old) -> None:
        """Call the new coroutine function, in a task of the caller's event loop."""
        import asyncio

        await asyncio.sleep(0)  # where tasks begin at once, this one does not: the caller goes first
        function, args, kwargs = self._subject.guard.run("shadow", self._new, (None, (), {}), old)
        if function is None:
            return
        crossing = Crossing(self._subject)
        started = perf_counter_ns()
        error: BaseException | None
        try:
            result, error = await function(*args, **kwargs), None
        except _ENDS as raised:
            result, error = None, raised
        finally:
            crossing.end()
        elapsed = perf_counter_ns() - started
        self._subject.guard.run("shadow", self._judge, None, old, Ran(elapsed, error is not None), result, error)

    def _new(self, old: Old) -> tuple[Any, tuple[Any, ...], Mapping[str, Any]]:
        place_now.set(None)  # the caller's trace is the caller's
        args, kwargs = self._to.arrange(old.copies)
        return self._to.function(), args, kwargs


def copied(values: list[Any], what: str) -> list[Any]:
    """Return copies that share nothing mutable with ``values``; one object among them twice stays one.

    Raises:
        Incomparable: when they are too large, or cannot be copied.
    """
    import copy

    try:
        if all(frozen(value) for value in values):
            return values
        return copy.deepcopy(values) if weight(values) <= MOST_BYTES else _too_large(what)
    except Incomparable:
        raise
    except _ENDS:  # copying runs what their classes define for it
        raise Incomparable(f"{what} cannot be copied") from None


def _too_large(what: str) -> list[Any]:
    raise Incomparable(f"{what} of more than {MOST_BYTES >> 20} MiB")
