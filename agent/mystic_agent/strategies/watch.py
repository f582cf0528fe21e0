"""A stage that looks at a call before and after, and leaves it as it is: what log and snapshot share."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any, Protocol, TypeVar

from mystic_agent.guard import FAULTS
from mystic_agent.redact import Picture
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.condition import ABSENT, Ended

_inside: ContextVar[bool] = ContextVar("mystic_watching", default=False)
_R = TypeVar("_R")


class Watcher(Protocol):
    """What looks at the calls of one function; its failures end in the guard."""

    def skips(self, values: tuple[Any, ...]) -> bool:
        """True, counted, when this call is left out; calls nothing that could be looked at itself."""

    def begin(self, values: tuple[Any, ...]) -> object | None:
        """Return what ``end`` is to be given, or None when this call is not looked at."""

    def end(self, begun: Any, values: tuple[Any, ...], ended: Ended) -> None:
        """Take what came of the call."""


def refuse_generators(subject: Subject, strategy: str) -> str:
    """Return why a generator function cannot have it: it has hardly begun when it is called."""
    if subject.kind in ("generator", "async_generator"):
        return f"{strategy} cannot show the result of {subject.kind.replace('_', ' ')} functions"
    return ""


def watched(subject: Subject, strategy: str, watcher: Watcher, following: Stage) -> Stage:
    """Return the stage that lets ``watcher`` look.

    What the watcher itself calls, a handler of the application's logging for one, is not looked at again.
    """
    guard = subject.guard

    def tell(begun: object, values: tuple[Any, ...], started: int, result: Any, error: BaseException | None) -> None:
        ended = Ended(result, error, (perf_counter_ns() - started) / 1e9)
        guard.run(strategy, _apart, None, watcher.end, begun, values, ended)

    def begin(values: tuple[Any, ...]) -> object | None:
        try:
            if _inside.get() or watcher.skips(values):
                return None
        except FAULTS as fault:
            guard.note(strategy, fault)
            return None
        return guard.run(strategy, _apart, None, watcher.begin, values)

    async def watched_async(*values: Any) -> Any:
        begun = begin(values)
        if begun is None:
            return await following(*values)
        started = perf_counter_ns()
        try:
            result = await following(*values)
        except BaseException as error:
            tell(begun, values, started, ABSENT, error)
            raise
        tell(begun, values, started, result, None)
        return result

    def watched_call(*values: Any) -> Any:
        begun = begin(values)
        if begun is None:
            return following(*values)
        started = perf_counter_ns()
        try:
            result = following(*values)
        except BaseException as error:
            tell(begun, values, started, ABSENT, error)
            raise
        tell(begun, values, started, result, None)
        return result

    return watched_async if subject.kind == "coroutine" else watched_call


def _apart(work: Callable[..., _R], *given: Any) -> _R | None:
    """Return ``work(*given)``, or None at once when it is such work that calls us."""
    if _inside.get():
        return None
    token = _inside.set(True)
    try:
        return work(*given)
    finally:
        _inside.reset(token)


def arguments(subject: Subject, values: tuple[Any, ...], picture: Picture, most: int) -> dict[str, str]:
    """Return the parameters with their values as text; secrets are hidden by name and by look."""
    names = subject.parameters
    shown = {name: picture.show(value, name) for name, value in zip(names[:most], values, strict=False)}
    if len(names) > most:
        shown["…"] = f"{len(names) - most} more"
    return shown
