"""Which functions of a module are meant, and which of them are better left alone, with the reason.

Pure looking: nothing is imported, called or changed; no property or ``__getattr__`` of the application runs,
because objects are opened by ``gc.get_referents`` and type dictionaries only.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from mystic_agent.contract.named import NamedTuple
from mystic_agent.trampoline import is_trampoline, kind_of

OWN = ("mystic_agent", "mystic_bootstrap", "mystic_collector", "wrapt")
FRAME_READERS = frozenset({"_getframe", "_getframemodulename", "currentframe", "getouterframes"})
COMPILED_LATER = frozenset({"numba", "torch", "jax", "tensorflow", "triton", "taichi", "cython"})
DEEPEST = 3
MOST_OBJECTS = 400
MOST_SEEN = 50_000
_NO_DOOR = (ModuleType, CodeType, str, bytes, int, float, bool, type(None))


class Found(NamedTuple):
    """One function of a module.

    Attributes:
        qualname: its name as people write it after the colon.
        function: the function object.
        kind: function, coroutine, generator or async_generator.
        reason: why it should be left alone unless asked for by name; empty when it need not.
        method: it stands in a class, so that its first parameter may be self or cls.
    """

    qualname: str
    function: Any  # FunctionType; spelled so because type checkers bind it like a method
    kind: str
    reason: str
    method: bool


def functions(module: ModuleType) -> list[Found]:
    """Return the Python functions defined in ``module``, each once, in order of discovery."""
    return list(_Search(module).run())


def leave_alone(code: CodeType) -> str:
    """Return why the code should not be observed by default, or an empty text."""
    if code.co_filename.startswith("<") and not is_trampoline(code):
        return "generated code"
    if code.co_name == "<lambda>":
        return "a lambda"
    if FRAME_READERS.intersection(code.co_names):
        return "reads the frame of its caller"
    return ""


class _Search:
    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.space = vars(module)
        self.seen: set[int] = set()

    def run(self) -> Iterator[Found]:
        for name, value in list(self.space.items()):
            yield from self.visit(value, name, 0)

    def visit(self, value: Any, name: str, depth: int) -> Iterator[Found]:
        kind = type(value)  # never isinstance: it would ask a proxy of the application for its __class__
        if issubclass(kind, _NO_DOOR) or id(value) in self.seen or len(self.seen) > MOST_SEEN:
            return
        if kind is FunctionType:
            self.seen.add(id(value))
            yield from self.function(value, None, depth)
        elif issubclass(kind, type):
            if value.__module__ == self.module.__name__:
                self.seen.add(id(value))
                yield from self.members(value)
        elif depth == 0 and kind.__module__.partition(".")[0] not in COMPILED_LATER:
            yield from self.inside(value)

    def function(self, function: FunctionType, owner: type | None, depth: int) -> Iterator[Found]:
        code = function.__code__
        if function.__globals__ is self.space:
            qualname = (
                function.__qualname__ if owner is not None and code.co_filename.startswith("<") else code.co_qualname
            )
            yield Found(qualname, function, kind_of(code), leave_alone(code), owner is not None)
        if depth < DEEPEST:  # what a decorator wraps: its __wrapped__, or what its closure holds
            held = [function.__dict__.get("__wrapped__"), *_cells(function)]
            for inner in held:
                if type(inner) in (FunctionType, MethodType) and id(inner) not in self.seen:
                    plain = inner.__func__ if type(inner) is MethodType else inner
                    if type(plain) is FunctionType and id(plain) not in self.seen:
                        self.seen.add(id(plain))
                        yield from self.function(plain, owner, depth + 1)

    def members(self, owner: type) -> Iterator[Found]:
        for name, value in list(vars(owner).items()):
            for held in _unpack(value):
                if type(held) is FunctionType:
                    if id(held) not in self.seen:
                        self.seen.add(id(held))
                        yield from self.function(held, owner, 0)
                elif issubclass(type(held), type):
                    if self.nested(held, owner):
                        yield from self.visit(held, name, 0)
                elif type(held).__module__ != "builtins":  # a cached property, a validator, a fixture
                    yield from self.inside(held, owner)

    def nested(self, held: type, owner: type) -> bool:
        return held.__module__ == self.module.__name__ and held.__qualname__.startswith(owner.__qualname__ + ".")

    def inside(self, value: Any, owner: type | None = None) -> Iterator[Found]:
        """Look into an object that may hold functions: a command, a route table, a partial."""
        level, count = [value], 0
        for _ in range(DEEPEST):
            following: list[Any] = []
            for held in gc.get_referents(*level):
                count += 1
                if count > MOST_OBJECTS:
                    return
                kind = type(held)
                if issubclass(kind, (*_NO_DOOR, type)) or id(held) in self.seen or held is self.space:
                    continue
                if kind is FunctionType:  # of another module it may be a decorator's wrapper around ours
                    self.seen.add(id(held))
                    yield from self.function(held, owner, 0)
                elif kind.__module__.partition(".")[0] not in COMPILED_LATER:
                    following.append(held)
            level = following
            if not level:
                return


def _cells(function: FunctionType) -> list[Any]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a cell that is not filled yet
            continue
    return found


def _unpack(value: Any) -> tuple[Any, ...]:
    """Return what a class attribute holds: the functions inside the descriptors of the language."""
    kind = type(value)
    if kind in (staticmethod, classmethod):
        return (value.__func__,)
    if kind is property:
        return (value.fget, value.fset, value.fdel)
    return (value,)
