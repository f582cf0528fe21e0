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

    __slots__ = ("_installed", "code", "function", "original")

    def __init__(self, function: FunctionType) -> None:
        self.function = function
        self.code: CodeType = function.__code__
        self.original = trampoline.original(function, self.code)
        self._installed: CodeType | None = None

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

    def release(self) -> bool:
        """Put the original code back; False when somebody else's code is there and was left alone."""
        if self._installed is None:
            return True
        if self.foreign():
            return False
        self.function.__code__ = self.code
        self._installed = None
        return True

    def foreign(self) -> bool:
        """True when the function's code is neither its own nor ours."""
        return self.function.__code__ is not (self._installed or self.code)
