"""Put a hook into a Python function and take it out, by replacing ``function.__code__`` in place.

Every reference taken earlier is reached, because the function object stays the same one. Release puts
the original code object back, so that nothing of ours remains on the path.
"""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import Any

from mystic_agent import trampoline

Hook = tuple[str, dict[str, Any]]
"""A template (see :func:`mystic_agent.trampoline.build`) and its constants; ``$O`` is the original."""


class Swapped:
    """A function whose code is replaced.

    Attributes:
        function: the function, still the application's own object.
        code: its own code object.
    """

    __slots__ = ("_inner", "_installed", "code", "function", "original", "searched")

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.code: CodeType = function.__code__
        self.original = trampoline.original(function, self.code)
        self._installed: CodeType | None = None
        self._inner: dict[int, CodeType] = {}
        self.searched = False  # for functions it defines

    def install(self, template: str, constants: dict[str, Any]) -> None:
        """Put in a hook, in place of any earlier one.

        Raises:
            RuntimeError: when somebody else has replaced the code since; theirs is left alone.
        """
        if self.foreign():
            raise RuntimeError("another tool has replaced the code of this function")
        code = trampoline.build(template, self.code, constants)
        self._installed = code
        self.function.__code__ = code

    def nest(self, inner: CodeType, replacement: CodeType | None) -> None:
        """Let a function that this one defines have another code from now on; None gives it back its own.

        Raises:
            RuntimeError: when somebody else has replaced the code since.
        """
        if self.foreign():
            raise RuntimeError("another tool has replaced the code of this function")
        if replacement is None:
            self._inner.pop(id(inner), None)
        else:
            self._inner[id(inner)] = replacement
        body = trampoline.rewrite(self.code, self._inner) if self._inner else self.code
        self.original.__code__ = trampoline.flatten(body)
        if self._installed is None or not self.hooked:
            self.function.__code__ = body
            self._installed = None if body is self.code else body

    def effective(self, inner: CodeType) -> CodeType:
        """Return the code that instances of the inner function have from now on."""
        return trampoline.rewrite(self._inner.get(id(inner), inner), self._inner)

    @property
    def hooked(self) -> bool:
        """True while a hook is in."""
        return self._installed is not None and trampoline.is_trampoline(self._installed)

    def release(self) -> bool:
        """Put the original code back; False when somebody else's code is there and was left alone."""
        if self._installed is None:
            return True
        if self.foreign():
            return False
        body = trampoline.rewrite(self.code, self._inner) if self._inner else self.code
        self.function.__code__ = body
        self._installed = None if body is self.code else body
        return True

    def foreign(self) -> bool:
        """True when the function's code is neither its own nor ours."""
        return self.function.__code__ is not (self._installed or self.code)
