"""Functions defined inside others: each call of the outer one makes another, from the same code.

The outer function's code is rewritten so that what it makes from now on has the hook. Instances that are alive
already get it in place; looking for them among all objects costs milliseconds, so it is done only when the
reference count of the code says that there are some.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any

from mystic_agent import trampoline
from mystic_agent.swap import Swapped


class Nested:
    """The code of a function that another function defines.

    Args:
        outer: the function of the module that it is defined in, at any depth.
        code: its own code.
        alive: instances of it existed when it was found.
    """

    __slots__ = ("alive", "code", "installed", "outer")

    def __init__(self, outer: Swapped, code: CodeType, alive: bool) -> None:
        self.outer = outer
        self.code = code
        self.alive = alive
        self.installed = False

    def install(self, template: str, constants: dict[str, Any]) -> None:
        """Give the instances to come the hook.

        Raises:
            RuntimeError: when somebody else has replaced the outer function's code.
        """
        self.outer.nest(self.code, trampoline.build_nested(template, self.code, constants))
        self.installed = True

    def release(self) -> bool:
        """Give the instances to come their own code back; True when there was something to release."""
        if not self.installed:
            return False
        self.installed = False
        if not self.outer.foreign():
            self.outer.nest(self.code, None)
        return True


def find(outer: Swapped) -> list[Nested]:
    """Return the functions defined inside ``outer``."""
    return [Nested(outer, code, count > _UNUSED) for code, count in _counted(outer.code)]


def adopt(changed: Iterable[Nested]) -> None:
    """Bring the instances that are alive to the code that those to come have."""
    codes = {_origin(one.code): one.outer.effective(one.code) for one in changed}
    if not codes:
        return
    for one in gc.get_objects():
        if type(one) is FunctionType:
            own = one.__code__
            code = codes.get(_origin(own))
            if code is None or code is own or code.co_freevars != own.co_freevars or trampoline.is_original(own):
                continue
            one.__code__ = code


def _origin(code: CodeType) -> tuple[str, int, str]:
    """What a function's code and its trampoline have in common."""
    return code.co_filename.removeprefix(trampoline.MARK), code.co_firstlineno, code.co_qualname


def _counted(code: CodeType) -> list[tuple[CodeType, int]]:
    return [(inner, sys.getrefcount(inner)) for inner in trampoline.nested(code)]


def _probe() -> None:
    def never_made() -> None:
        pass


_UNUSED = _counted(_probe.__code__)[0][1]
"""References to the code of an inner function of which no instance is alive, counted in the same way."""
