"""Exceptions that a hijack names: those it raises, and those it tells apart."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Subject
from mystic_agent.strategies.named import held, split


class Raised:
    """An exception to raise: a new object at every call.

    Args:
        name: a builtin exception, ``package.module.Name`` or ``package.module:Name``.
        message: its text; empty for none.
        allowed: true of the modules whose code a hijack may name.

    Attributes:
        problem: why it cannot be raised; empty when it can.
    """

    def __init__(self, name: str, message: str, allowed: Callable[[str], bool]) -> None:
        self.name = name
        self._args = (message,) if message else ()
        self._kind: type[Exception] | None = None
        self.problem = self._find(allowed)

    def make(self) -> Exception:
        """Return a new one."""
        assert self._kind is not None  # noqa: S101 -- attach refuses what has a problem
        return self._kind(*self._args)

    def _find(self, allowed: Callable[[str], bool]) -> str:
        module, path = split(self.name)
        if module != "builtins" and not allowed(module):
            return (
                f"{self.name} is outside of what hijacks may name: builtin exceptions, "
                f"the application's own, or those of modules that MYSTIC_ALLOW lists"
            )
        if module not in sys.modules:
            return f"{self.name} cannot be raised: {module} is not loaded in this process"
        found = held(module, path)
        if not isinstance(found, type) or not issubclass(found, Exception):
            return f"{self.name} is no class of exceptions; only subclasses of Exception can be raised"
        self._kind = found
        try:
            made = self.make()
        except FAULTS as error:
            return f"{self.name} cannot be made from its message alone: {type(error).__name__}"
        return "" if isinstance(made, Exception) else f"{self.name} makes something else"


def asked_for(subject: Subject, options: Mapping[str, Any], text: str) -> Raised:
    """Return the exception of the options ``exception`` and ``message``; ``text`` where they give no message."""
    return Raised(options["exception"], options["message"] or text, subject.allowed)


class Kinds:
    """Exceptions told apart by their classes and those they inherit from; nothing is imported.

    Args:
        listed: builtin names, ``package.module.Name`` or ``package.module:Name``.
    """

    def __init__(self, listed: Iterable[str]) -> None:
        listed = tuple(listed)
        found = [held(*split(name)) for name in listed]
        self._types = tuple(one for one in found if isinstance(one, type) and issubclass(one, BaseException))
        # Names of modules that are loaded later: told by where their classes say they are defined.
        self._names = frozenset(name.replace(":", ".") for name in listed)

    def has(self, error: BaseException) -> bool:
        """True when ``error`` is one of them."""
        kind = type(error)
        if issubclass(kind, self._types):
            return True
        return not self._names.isdisjoint(f"{one.__module__}.{one.__qualname__}" for one in kind.__mro__)
