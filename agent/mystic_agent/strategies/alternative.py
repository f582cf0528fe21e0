"""Another implementation that stands in for the function, on all of its calls or on some.

It is found by name, inside of what hijacks may name, and must take every call that the function takes. A module that
is not loaded yet is imported by the first call that needs it, in the thread of that call, as the application would:
importing it while hijacks are put in force could wait for a lock that the application holds.

While the other implementation runs, its own calls of the function reach the original: a new implementation that
builds on the old one would otherwise call itself for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import FunctionType
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.named import held
from mystic_agent.strategies.signature import arrangement, difference

Choice = Callable[[tuple[Any, ...]], tuple[bool, Decision]]
"""Of the values of a call: does it go to the other implementation, and what is counted then?"""


class Alternative:
    """The other implementation.

    Args:
        subject: the function.
        name: ``module:qualname`` of the other one.

    Attributes:
        problem: why it cannot stand in; empty when it can, or when that shows only once its module is imported.
    """

    def __init__(self, subject: Subject, name: str) -> None:
        self.name = name
        self.arrange = arrangement(subject.code)
        self._subject = subject
        self._module, _, self._path = name.partition(":")
        self._function: FunctionType | None = None
        self.problem = self._look()

    def function(self) -> FunctionType | None:
        """Return it, imported when need be; None when there is a problem."""
        if self._function is None and not self.problem:
            from importlib import import_module

            try:
                import_module(self._module)
            except FAULTS as error:
                self._subject.guard.note("alternative", error)
                self.problem = f"{self._module} cannot be imported: {type(error).__name__}"
            else:
                self.problem = self._look() or ("" if self._function else f"{self.name} is not there")
        return self._function

    def _look(self) -> str:
        """Find it when its module is loaded; return what is wrong."""
        if self.name == self._subject.name:
            return f"{self.name} is the function itself"
        if not self._subject.allowed(self._module):
            return (
                f"{self._module} is not among the modules whose code hijacks may name: "
                f"the application's own, or those that MYSTIC_ALLOW lists"
            )
        if sys.modules.get(self._module) is None:
            return ""
        holder = held(self._module, self._path)
        if isinstance(holder, (staticmethod, classmethod)):
            holder = holder.__func__
        if type(holder) is not FunctionType:
            return f"{self.name} is no Python function"
        wrong = difference(self._subject.code, holder)
        if wrong:
            return f"{self.name} does not take the calls of {self._subject.name}: {wrong}"
        self._function = holder
        return ""


def refuse(subject: Subject, strategy: str, name: str) -> str:
    """Return why ``name`` cannot stand in for ``subject``, or an empty text."""
    if subject.kind in ("generator", "async_generator"):
        kind = subject.kind.replace("_", " ")
        return f"{strategy} cannot tell, between the steps of {kind} functions, who calls the original"
    return Alternative(subject, name).problem


def route(subject: Subject, strategy: str, name: str, choose: Choice, following: Stage) -> Stage:
    """Return a stage that sends the calls which ``choose`` says to the other implementation."""
    alternative, guard = Alternative(subject, name), subject.guard
    inner = Decision(subject, strategy, "passed", "called by the other implementation")

    def enter(values: tuple[Any, ...]) -> tuple[FunctionType, tuple[Any, ...], dict[str, Any]] | None:
        """Return what to call, and how; None for the original."""
        if inside(subject):
            inner()
            return None
        there, decided = choose(values)
        if not there:
            decided()
            return None
        function = alternative.function()
        if function is None:
            Decision(subject, strategy, "passed", alternative.problem)()
            return None
        args, kwargs = alternative.arrange(values)
        decided()
        return function, args, kwargs

    async def routed_async(*values: Any) -> Any:
        try:
            call = enter(values)
        except FAULTS as fault:  # not by the guard's run, which would be one call more
            guard.note(strategy, fault)
            call = None
        if call is None:
            return await following(*values)
        crossing = Crossing(subject)
        try:
            return await call[0](*call[1], **call[2])
        finally:
            crossing.end()

    def routed(*values: Any) -> Any:
        try:
            call = enter(values)
        except FAULTS as fault:
            guard.note(strategy, fault)
            call = None
        if call is None:
            return following(*values)
        crossing = Crossing(subject)
        try:
            return call[0](*call[1], **call[2])
        finally:
            crossing.end()

    return routed_async if subject.kind == "coroutine" else routed


class Crossing:
    """A call of another implementation that is under way in this context.

    Tasks that it starts copy the context and may outlive it, so that the end is marked on the object itself.
    """

    __slots__ = ("before", "of", "open", "token")

    def __init__(self, subject: Subject) -> None:
        self.of, self.open = subject.meter, True
        self.before = _inside.get()
        self.token: Token[Crossing | None] = _inside.set(self)

    def end(self) -> None:
        """Take it back."""
        self.open = False
        try:
            _inside.reset(self.token)
        except ValueError:  # a coroutine that is closed from another context, which never had it
            return


_inside: ContextVar[Crossing | None] = ContextVar("mystic_crossing", default=None)


def inside(subject: Subject) -> bool:
    """True while another implementation of ``subject`` runs in this context."""
    one = _inside.get()
    while one is not None:
        if one.of is subject.meter and one.open:
            return True
        one = one.before
    return False
