"""custom: a class of the user's own decides what becomes of a call; see docs/custom-strategies.md.

It is found by its name in the entry point group GROUP, and must lie in a module whose code hijacks may name. Its module
is imported and its object made by the first call, in the thread of that call, as the application would do it; calls
that come meanwhile go to the function.

The class cannot break the host: what it raises, unless it says that it means to, is a failure of its own. The caller
then gets what the function has returned or raised already, or else the function runs now; and the hijack is taken off.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from mystic_agent.contract.named import NamedTuple
from mystic_agent.guard import FAULTS, guard
from mystic_agent.redact import describe
from mystic_agent.strategies import Stage, Subject
from mystic_agent.strategies.decision import Decision, decisions
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.named import held

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mystic.strategies"


class Function(NamedTuple):
    """The function that a custom strategy is made for.

    Attributes:
        name: ``module:qualname``.
        kind: ``function`` or ``coroutine``.
        parameters: names of all parameters.
    """

    name: str
    kind: str
    parameters: tuple[str, ...]


class Call:
    """One call, in the hands of a custom strategy.

    Attributes:
        function: what is called.
        ran: True once the function has been called.
        result: what it returned last.
        error: what it raised last, or None.
    """

    __slots__ = ("_following", "_meant", "_values", "error", "function", "ran", "result")

    def __init__(self, function: Function, values: tuple[Any, ...], following: Stage) -> None:
        self.function = function
        self.ran = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._meant: BaseException | None = None
        self._values = values
        self._following = following

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by the names of their parameters, defaults included; the objects are the caller's own."""
        return dict(zip(self.function.parameters, self._values, strict=True))

    def proceed(self, /, **changed: Any) -> Any:
        """Call the function and return its result, or raise what it raises; for a coroutine function, await this.

        Args:
            changed: other values for some of its parameters.

        Raises:
            TypeError: when there is no such parameter; the function was not called.
        """
        values = self._changed(changed) if changed else self._values
        if self.function.kind == "coroutine":
            return self._awaited(values)
        self.ran, self.error, self.result = True, None, None
        try:
            self.result = self._following(*values)
        except BaseException as error:
            self.error = error
            raise
        return self.result

    def raises(self, error: Exception) -> Exception:
        """Return ``error``, which is then what the caller is meant to get: ``raise call.raises(PermissionError())``."""
        self._meant = error
        return error

    async def _awaited(self, values: tuple[Any, ...]) -> Any:
        self.ran, self.error, self.result = True, None, None
        try:
            self.result = await self._following(*values)
        except BaseException as error:
            self.error = error
            raise
        return self.result

    def _changed(self, changed: Mapping[str, Any]) -> tuple[Any, ...]:
        unknown = next((name for name in changed if name not in self.function.parameters), None)
        if unknown is not None:
            raise TypeError(f"{self.function.name} has no parameter {unknown!r}")
        return tuple(
            changed.get(name, value) for name, value in zip(self.function.parameters, self._values, strict=True)
        )

    def passes(self, error: BaseException) -> bool:
        """True when the caller is to get ``error``: the function's own, or one that is meant."""
        return error is self.error or error is self._meant


class Strategy(Protocol):
    """What the class must be; the options are those of the hijack, a JSON object.

    Only one of the two methods is needed: ``call`` for functions, ``call_async`` for coroutine functions.
    """

    def __init__(self, function: Function, options: Mapping[str, Any]) -> None:
        """Make it, once for each function; what is raised here is the reason why the hijack is not in force."""

    def call(self, call: Call) -> Any:
        """Return what the caller gets."""

    async def call_async(self, call: Call) -> Any:
        """Return what the caller gets."""


def refuse(subject: Subject, options: Mapping[str, Any]) -> str:
    """Somebody must offer it, from where hijacks may name code; what a generator yields is past its reach."""
    if subject.kind not in _METHODS:
        return f"custom cannot stand before {subject.kind.replace('_', ' ')} functions: their caller runs them"
    return _Own(subject, options).problem


def make(subject: Subject, options: Mapping[str, Any], following: Stage) -> Stage:
    """Return a stage that hands calls to the user's object."""
    one, ward = _Custom(subject, options), subject.guard

    async def called_async(*values: Any) -> Any:
        method = ward.run("custom", one.begin, None)
        if method is None:
            return await following(*values)
        call = Call(one.function, values, following)
        try:
            result = await method(call)
        except FAULTS as error:
            if one.meant(call, error):
                raise
        else:
            ward.run("custom", one.told, None, call)
            return result
        if call.error is not None:  # outside of the handler, so that the failure does not become its context
            raise call.error
        return call.result if call.ran else await following(*values)

    def called(*values: Any) -> Any:
        method = ward.run("custom", one.begin, None)
        if method is None:
            return following(*values)
        call = Call(one.function, values, following)
        try:
            result = method(call)
        except FAULTS as error:
            if one.meant(call, error):
                raise
        else:
            ward.run("custom", one.told, None, call)
            return result
        if call.error is not None:
            raise call.error
        return call.result if call.ran else following(*values)

    return called_async if subject.kind == "coroutine" else called


class _Custom:
    """What stands between callers and the user's object."""

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        self.own = kept(subject, "custom", options, lambda: _Own(subject, options))
        self.function = Function(subject.name, subject.kind, subject.parameters)
        self.ward, self.name = subject.guard, options["name"]
        self.answered, self.proceeded, self.raised = decisions(subject, "custom", "answered", "proceeded", "raised")
        self.passed = Decision(subject, "custom", "passed", "not ready, or taken off")

    def begin(self) -> Callable[[Call], Any] | None:
        """Return the user's method, or None when it cannot be had."""
        method = self.own.method or self.own.made(self.ward.give_up)
        if method is None:
            self.passed()
        return method

    def told(self, call: Call) -> None:
        """Count a call that the user's object has answered."""
        (self.proceeded if call.ran else self.answered)()

    def meant(self, call: Call, error: Exception) -> bool:
        """True when the caller is to get ``error``; any other is a failure of the user's object."""
        if call.passes(error):
            self.ward.run("custom", self.proceeded if error is call.error else self.raised, None)
            return True
        self.ward.run("custom", self._fail, None, error)
        return False

    def _fail(self, error: Exception) -> None:
        self.own.method, self.own.problem = None, "it failed"
        self.ward.note(f"custom.{self.name}", error)
        self.ward.give_up("raised " + ": ".join(filter(None, describe(error) or ())))


_METHODS = {"function": "call", "coroutine": "call_async"}
_offered: dict[str, EntryPoint] = {}


class _Own:
    """The user's object for one function.

    Attributes:
        method: what takes the calls; None before it is made, and after it has failed.
        problem: why there is none; empty when there is, or when that shows only once its module is imported.
    """

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        self.method: Callable[[Call], Any] | None = None
        self._function = Function(subject.name, subject.kind, subject.parameters)
        self._options = options
        self._allowed = subject.allowed
        self._making = _thread.allocate_lock()
        self._point = _point(options["name"])
        self._object: Any = None
        self.problem = self._look()[1]

    def made(self, give_up: Callable[[str], None]) -> Callable[[Call], Any] | None:
        """Import the class and make the object; None while another call does so, and when it fails."""
        # No call waits here for another: that one may need a module which this one's thread is importing.
        if self.problem or not self._making.acquire(blocking=False):
            return None
        try:
            self.method = self._make()
            if self.method is None:
                give_up(f"cannot be used: {self.problem}")
        finally:
            self._making.release()
        return self.method

    def _make(self) -> Callable[[Call], Any] | None:
        from importlib import import_module

        assert self._point is not None  # noqa: S101 -- attach refuses what nobody offers
        try:
            import_module(self._point.module)
            found, self.problem = self._look()
            if found is None:
                self.problem = self.problem or f"{self._point.value} is not there"
                return None
            options = MappingProxyType(dict(self._options["options"]))
            self._object = found(self._function, options)
            return getattr(self._object, _METHODS[self._function.kind])  # type: ignore[no-any-return]
        except FAULTS as error:
            self.problem = ": ".join(filter(None, describe(error) or ()))
            return None

    def _look(self) -> tuple[Callable[..., Any] | None, str]:
        """Return the class, when its module is loaded, and what is wrong."""
        name, point = self._options["name"], self._point
        if point is None:
            known = ", ".join(sorted(_offered)) or "none"
            return None, f"no installed package offers the strategy {name} in {GROUP}; known are: {known}"
        if not self._allowed(point.module):
            return None, (
                f"{point.module}, which offers the strategy {name}, is not among the modules whose code hijacks "
                f"may name: the application's own, or those that MYSTIC_ALLOW lists"
            )
        found = held(point.module, point.attr)
        if found is None:
            return None, ""
        method = _METHODS[self._function.kind]
        if not isinstance(found, type) or not hasattr(found, method):
            return None, f"{point.value} is no class with a method {method}, for {self._function.kind} functions"
        return found, ""

    def reset(self) -> None:
        """Take a new lock, as a forked child must; the user's object learns of it when it has a reset of its own."""
        self._making = _thread.allocate_lock()
        own_reset = getattr(self._object, "reset", None)
        if callable(own_reset):
            guard.run("custom.reset", own_reset, None)


def _point(name: str) -> EntryPoint | None:
    """Return the entry point of a name; packages are looked through again for a name that is not known yet."""
    if name not in _offered:
        from importlib.metadata import entry_points

        for point in entry_points(group=GROUP):
            _offered.setdefault(point.name, point)
    return _offered.get(name)
