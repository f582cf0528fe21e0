"""Exceptions that a hijack names: those it raises, and those it tells apart."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from mystic_agent.guard import FAULTS


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
        if "." not in self.name and ":" not in self.name:
            module, path = "builtins", self.name
        elif ":" in self.name:
            module, _, path = self.name.partition(":")
        else:
            module, path = _split(self.name)
        if module != "builtins" and not allowed(module):
            return f"{self.name} is outside of what hijacks may name; add {module} to MYSTIC_ALLOW"
        holder: Any = sys.modules.get(module)
        if holder is None:
            return f"{self.name} cannot be raised: {module} is not loaded in this process"
        for part in path.split("."):
            holder = vars(holder).get(part) if isinstance(holder, (ModuleType, type)) else None
        if not isinstance(holder, type) or not issubclass(holder, Exception):
            return f"{self.name} is no class of exceptions; only subclasses of Exception can be raised"
        self._kind = holder
        try:
            made = self.make()
        except FAULTS as error:
            return f"{self.name} cannot be made from its message alone: {type(error).__name__}"
        return "" if isinstance(made, Exception) else f"{self.name} makes something else"


def _split(name: str) -> tuple[str, str]:
    """Return (module, path of the class) of a dotted name: the longest beginning that is a module."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:end]) in sys.modules:
            return ".".join(parts[:end]), ".".join(parts[end:])
    return ".".join(parts[:-1]), parts[-1]


class Kinds:
    """Exceptions told apart by the names of their classes and of those they inherit from; nothing is imported.

    Args:
        listed: builtin names, ``package.module.Name`` or ``package.module:Name``.
    """

    def __init__(self, listed: Iterable[str]) -> None:
        self._types = tuple(getattr(builtins, name) for name in listed if "." not in name and ":" not in name)
        self._names = frozenset(name.replace(":", ".") for name in listed if "." in name or ":" in name)

    def has(self, error: BaseException) -> bool:
        """True when ``error`` is one of them."""
        if isinstance(error, self._types):
            return True
        return bool(self._names) and not self._names.isdisjoint(
            f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__
        )
