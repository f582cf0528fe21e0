"""What a function reads besides its arguments that differs from caller to caller: context variables and their like.

Found from the code, without running any of it: the names that a function's instructions load are followed through
globals, closures, modules, classes and ``self``, into the functions of the same application that it calls, and those
they call. It finds what is named; what is computed by name, or lies inside another library, it cannot see.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mystic_agent.contract.named import NamedTuple
from mystic_agent.trampoline import is_trampoline

DEEPEST = 6
MOST_FUNCTIONS = 300
MOST_ITEMS = 100
MOST_REMEMBERED = 2000

_LOCALS = frozenset(
    {
        ("_thread", "_local"),
        ("_threading_local", "local"),
        ("asgiref.local", "Local"),
        ("eventlet.corolocal", "local"),
        ("gevent._gevent_clocal", "local"),
        ("gevent.local", "local"),
        ("starlette_context.ctx", "_Context"),
        ("werkzeug.local", "Local"),
        ("werkzeug.local", "LocalProxy"),
        ("werkzeug.local", "LocalStack"),
    }
)
_READERS = {
    "crum": frozenset({"get_current_request", "get_current_user"}),
    "django.utils.timezone": frozenset(
        {"get_current_timezone", "get_current_timezone_name", "localdate", "localtime", "make_aware", "make_naive"}
    ),
    "django.utils.translation": frozenset(
        {"get_language", "get_language_bidi", "gettext", "ngettext", "npgettext", "pgettext"}
    ),
    "structlog.contextvars": frozenset({"get_contextvars", "get_merged_contextvars"}),
    "flask_babel": frozenset({"get_locale", "get_timezone", "gettext", "ngettext", "npgettext", "pgettext"}),
}
"""Functions that answer for the caller's context, by their modules."""

_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_space: Callable[[type], dict[str, Any]] = type.__dict__["__dict__"].__get__


class Ambient(NamedTuple):
    """One thing that belongs to the caller's context.

    Attributes:
        thing: the variable, proxy or function itself.
        name: how the code calls it, e.g. ``app.context:user``.
        kind: ``contextvar`` or ``local``.
        reader: ``module:qualname`` of the function that names it.
    """

    thing: Any
    name: str
    kind: str
    reader: str


def kind_of(thing: Any) -> str:
    """Return ``contextvar`` or ``local`` for what belongs to a context, else an empty text; no method of it runs."""
    kind = type(thing)
    if (kind.__module__, kind.__qualname__) in (("_contextvars", "ContextVar"), ("contextvars", "ContextVar")):
        return "contextvar"
    if any((base.__module__, base.__qualname__) in _LOCALS for base in _mro(kind)):
        return "local"
    return ""


def ambient(function: FunctionType, holder: type | None, ours: Callable[[str], bool]) -> list[Ambient]:
    """Return what the result of ``function`` may depend on besides its arguments.

    Args:
        function: the original, not a trampoline.
        holder: the class it is a method of, if any.
        ours: true of the modules whose functions are followed.
    """
    search = _Search(ours)
    search.enter(function, holder, 0)
    while search.waiting and len(search.seen) < MOST_FUNCTIONS:
        one, owner, depth = search.waiting.popleft()
        search.read(one.__code__, one, owner, depth)
    return search.found


class _Search:
    def __init__(self, ours: Callable[[str], bool]) -> None:
        self.ours = ours
        self.found: list[Ambient] = []
        self.seen: set[int] = set()
        self.waiting: deque[tuple[FunctionType, type | None, int]] = deque()

    def enter(self, function: FunctionType, holder: type | None, depth: int) -> None:
        function = behind(function)
        code = function.__code__
        if id(code) not in self.seen and depth <= DEEPEST:
            self.seen.add(id(code))
            self.waiting.append((function, holder, depth))

    def read(self, code: CodeType, function: FunctionType, holder: type | None, depth: int) -> None:
        """Follow the instructions of one function, and of what is defined inside it."""
        reader = f"{function.__module__}:{function.__qualname__}"
        for thing, name, owner in Names(code, function, holder).named():
            self.visit(thing, name, reader, owner, depth)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self.read(constant, function, holder, depth)

    def visit(self, thing: Any, name: str, reader: str, owner: type | None, depth: int) -> None:
        """Look at one thing that the code names."""
        kind = kind_of(thing)
        thing = unwrapped(thing)
        if type(thing) is FunctionType and thing.__name__ in _READERS.get(str(thing.__module__), ()):
            kind, name = "local", f"{thing.__module__}:{thing.__qualname__}"
        if kind:
            if all(one.thing is not thing for one in self.found):
                self.found.append(Ambient(thing, name, kind, reader))
        elif type(thing) is FunctionType:
            if self.ours(str(thing.__module__)):
                self.enter(thing, owner, depth + 1)
        elif isinstance(thing, type) and self.ours(str(thing.__module__)):
            for special in ("__new__", "__init__", "__post_init__"):
                made = unwrapped(looked_up(thing, special))
                if type(made) is FunctionType:
                    self.enter(made, thing, depth + 1)
        elif type(thing) in (dict, list, tuple, set, frozenset) and len(thing) <= MOST_ITEMS:
            for item in thing.values() if type(thing) is dict else thing:
                if kind_of(item):
                    self.visit(item, name, reader, None, depth)
        elif self.ours(type(thing).__module__):
            called = unwrapped(looked_up(type(thing), "__call__"))
            if type(called) is FunctionType:
                self.enter(called, type(thing), depth + 1)


class Names:
    """What the instructions of one code name, as far as it can be told without running them."""

    def __init__(self, code: CodeType, function: FunctionType, holder: type | None) -> None:
        self.code = code
        self.globals = function.__globals__
        self.module = str(self.globals.get("__name__", function.__module__))
        self.cells = _cells(function)
        self.locals: dict[str, Any] = {}
        for own in {*code.co_varnames[:1], *code.co_freevars} & {"self", "cls"} if holder is not None else ():
            self.locals[own] = holder  # a free variable of what is defined inside the method

    def named(self) -> Iterator[tuple[Any, str, type | None]]:
        """Yield (thing, name, the class it was found on)."""
        current: Any = _NOTHING
        name, package = "", _NOTHING
        classes: dict[int, tuple[type, str]] = {}
        loose: set[str] = set()
        for operation, argument in _steps(self.code):
            owner = None
            if operation in ("LOAD_GLOBAL", "LOAD_NAME"):
                current, name = self.world(argument), f"{self.module}:{argument}"
            elif operation in ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
                current = self.cells.get(argument, self.locals.get(argument, _NOTHING))
                name = f"{self.module}:{argument}"
            elif operation.startswith("LOAD_FAST"):
                last = argument[-1] if isinstance(argument, tuple) else argument
                current, name = self.locals.get(last, _NOTHING), f"{self.module}:{last}"
            elif operation.startswith("STORE_FAST"):
                stored, *others = argument if isinstance(argument, tuple) else (argument,)
                if current is package and name.partition(".")[0] == stored:
                    current = sys.modules.get(stored, _NOTHING)  # `import a.b` stores a
                self.locals[stored] = current
                current, name = _NOTHING, ""
                if operation == "STORE_FAST_LOAD_FAST":
                    current, name = self.locals.get(others[0], _NOTHING), f"{self.module}:{others[0]}"
                else:
                    self.locals.update(dict.fromkeys(others, _NOTHING))
            elif operation in ("LOAD_ATTR", "LOAD_METHOD"):
                owner = current if isinstance(current, type) else None
                if current is _NOTHING:
                    loose.add(argument)
                current, name = looked_up(current, argument), _deeper(name, current, argument)
            elif operation == "IMPORT_NAME":
                current = package = sys.modules.get(argument, _NOTHING)
                name = argument
                continue
            elif operation == "IMPORT_FROM":
                current, name = looked_up(package, argument), _deeper("", package, argument)
            else:
                current = _NOTHING
            if current is not _NOTHING:
                if isinstance(current, type):
                    classes[id(current)] = current, name
                yield current, name, owner
        # What is looked up on something unknown may be an instance of a class that the code names.
        for kind, name in classes.values():
            for attribute in loose:
                thing = looked_up(kind, attribute)
                if thing is not _NOTHING:
                    yield thing, f"{name}.{attribute}", kind

    def world(self, name: str) -> Any:
        """Return a global of the function's module."""
        return self.globals.get(name, _NOTHING)


_NOTHING: Any = type("Nothing", (), {})()
SILENT = frozenset({"CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL", "RESUME", "COPY_FREE_VARS", "KW_NAMES"})
"""Instructions that neither load nor do anything; which of them there are hangs on the version of Python."""


def _steps(code: CodeType) -> tuple[tuple[str, Any], ...]:
    """Return (operation, argument) of each instruction that matters; remembered, because helpers are met often."""
    known = _read.get(id(code))
    if known is not None:
        return known[1]
    import dis

    steps = []
    for one in dis.get_instructions(code):
        if one.opname in SILENT:
            continue
        if one.opname.startswith(_TELLING):
            steps.append((one.opname, one.argval))
        elif not steps or steps[-1][0]:
            steps.append(("", None))  # whatever it is, what was on top of the stack is gone
    if len(_read) >= MOST_REMEMBERED:
        _read.clear()
    read = tuple(steps)
    _read[id(code)] = code, read
    return read


_TELLING = (
    "LOAD_GLOBAL",
    "LOAD_NAME",
    "LOAD_DEREF",
    "LOAD_CLASSDEREF",
    "LOAD_FROM_DICT_OR_DEREF",
    "LOAD_FAST",
    "STORE_FAST",
    "LOAD_ATTR",
    "LOAD_METHOD",
    "IMPORT_",
)
_read: dict[int, tuple[CodeType, tuple[tuple[str, Any], ...]]] = {}  # with the code, so that its id stays its own


def _deeper(name: str, current: Any, attribute: str) -> str:
    if isinstance(current, ModuleType):
        return f"{current.__name__}:{attribute}"
    return f"{name}.{attribute}"


def looked_up(holder: Any, name: str) -> Any:
    """Return an attribute without running a property, a descriptor or a module's ``__getattr__``."""
    if holder is _NOTHING or kind_of(holder):
        return _NOTHING
    if isinstance(holder, type):
        bases = _mro(holder)
    else:
        try:
            own = object.__getattribute__(holder, "__dict__")
        except AttributeError:
            own = {}
        if type(own) is dict and name in own:
            return own[name]
        if isinstance(holder, ModuleType):
            return _NOTHING
        bases = _mro(type(holder))
    for base in bases:
        space = _space(base)
        if name in space:
            return space[name]
    return _NOTHING


def unwrapped(thing: Any) -> Any:
    """Return the function inside of what wraps one: static, bound, partial, cached, a property."""
    for _ in range(10):
        kind = type(thing)
        if kind in (staticmethod, classmethod) or (kind.__module__, kind.__qualname__) == ("builtins", "method"):
            thing = thing.__func__
        elif kind is property and thing.fget is not None:
            thing = thing.fget
        elif (kind.__module__, kind.__qualname__) in (("functools", "partial"), ("functools", "cached_property")):
            thing = thing.func
        elif (kind.__module__, kind.__qualname__) == ("functools", "_lru_cache_wrapper"):
            thing = thing.__wrapped__
        else:
            return thing
    return thing


def behind(function: FunctionType) -> FunctionType:
    """Return the original of a hijacked function, through its trampoline and the stages of its strategies."""
    wanted = (function.__module__, function.__qualname__)
    waiting, seen = [function], set[int]()
    while waiting and len(seen) < MOST_FUNCTIONS:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if not is_trampoline(one.__code__) and (one.__module__, one.__qualname__) == wanted:
            return one
        held = [unwrapped(thing) for thing in (*one.__code__.co_consts, *_cells(one).values())]
        waiting.extend(thing for thing in held if type(thing) is FunctionType)
    return function


def _cells(function: FunctionType) -> dict[str, Any]:
    """Return what the free variables of a function hold; those that are not filled yet are left out."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found
