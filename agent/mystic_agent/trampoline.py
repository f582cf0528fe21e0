"""Code objects that stand in for a function's own: same signature, flags and free variables, another body.

A body is a template of Python source. It is compiled once for a number of parameters, a number of
free variables and a kind; every further function of that form only replaces names and constants in
the compiled code (about one microsecond). What makes this possible: the original is rebuilt so that
it takes **all** its parameters by position — keyword-only ones, the ``*args`` tuple and the
``**kwargs`` dict included. The interpreter lays them out in exactly that order, so nothing is packed
or unpacked twice and the call stays one that the interpreter specialises.

Every trampoline's file name starts with MARK. ``warnings.warn(stacklevel=…)`` and
``logging``'s ``stacklevel`` skip frames whose file name holds ``importlib`` and ``_bootstrap``
(``_is_internal_frame`` in both modules), so attribution stays as without us; coverage skips file
names that start with ``<``; ``linecache`` and ``inspect.getsource`` still find the lines through the
module's loader because the name does not end with ``>``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, TypeVar

from mystic_agent.contract.named import NamedTuple
from mystic_agent.template import Holes, compiled

F = TypeVar("F", bound=Callable[..., Any])

MARK = "<mystic importlib._bootstrap> "

OPTIMIZED, VARARGS, VARKEYWORDS, NESTED, GENERATOR = 0x01, 0x04, 0x08, 0x10, 0x20
COROUTINE, ITERABLE_COROUTINE, ASYNC_GENERATOR = 0x80, 0x100, 0x200

_INNER = "mystic_inner"

KIND_NAMES = ("function", "coroutine", "generator", "async_generator")
_ASYNCHRONOUS = ("coroutine", "async_generator")


class Form(NamedTuple):
    """What a template is compiled for.

    Attributes:
        kind: one of KIND_NAMES.
        parameters: how many, ``*args`` and ``**kwargs`` counted as one each.
        free: how many free variables the code has.
    """

    kind: str
    parameters: int
    free: int


def kind_of(code: CodeType) -> str:
    """Return which of KIND_NAMES calling ``code`` makes."""
    if code.co_flags & COROUTINE:
        return "coroutine"
    if code.co_flags & ASYNC_GENERATOR:
        return "async_generator"
    return "generator" if code.co_flags & GENERATOR else "function"


def count_parameters(code: CodeType) -> int:
    """Return how many parameters ``code`` has, ``*args`` and ``**kwargs`` counted as one each."""
    stars = bool(code.co_flags & VARARGS) + bool(code.co_flags & VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + stars


def form_of(code: CodeType) -> Form:
    """Return the form a trampoline for ``code`` needs."""
    return Form(kind_of(code), count_parameters(code), len(code.co_freevars))


def is_trampoline(code: CodeType) -> bool:
    """True for code made by :func:`build`, and for other code of ours that is marked like it."""
    return code.co_filename.startswith(MARK)


@lru_cache(maxsize=256)
def mark(code: CodeType) -> CodeType:
    """Return ``code`` with a file name that warnings and logging skip when they look for the caller."""
    return code.replace(co_filename=MARK + code.co_filename)


def marked(function: F) -> F:
    """Mark a function of ours that stands between a caller and the application's function."""
    if type(function) is FunctionType and not is_trampoline(function.__code__):
        function.__code__ = mark(function.__code__)
    return function


def flatten(code: CodeType) -> CodeType:
    """Return ``code`` taking all its parameters by position, in the interpreter's own order; itself where it does."""
    if not code.co_kwonlyargcount and not code.co_flags & (VARARGS | VARKEYWORDS):
        return code
    return code.replace(
        co_argcount=count_parameters(code),
        co_posonlyargcount=0,
        co_kwonlyargcount=0,
        co_flags=code.co_flags & ~(VARARGS | VARKEYWORDS),
    )


def original(function: FunctionType, code: CodeType) -> FunctionType:
    """Return a function that runs ``code`` as ``function`` would, called by position only.

    It shares globals and closure with ``function``; defaults are not needed because the trampoline,
    which stands in the real function, has applied them already.
    """
    rebuilt = FunctionType(flatten(code), function.__globals__, function.__name__, None, function.__closure__)
    rebuilt.__qualname__ = function.__qualname__
    rebuilt.__module__ = function.__module__
    return rebuilt


def build(template: str, code: CodeType, constants: dict[str, Any]) -> CodeType:
    """Return a trampoline for ``code``.

    Args:
        template: the body. ``@ARGS@`` stands for the parameters by position, ``$NAME`` for ``constants["NAME"]``.
            Locals start with ``_mystic_``.
        code: the code that is replaced; gives names, flags, first line and free variables.
        constants: hashable values; ``hash(code)`` must go on working.
    """
    kind, count, free = form_of(code)
    blank, holes = compiled(template, tuple(constants), MARK, kind in _ASYNCHRONOUS, count, free)
    return blank.replace(
        co_argcount=code.co_argcount,
        co_posonlyargcount=code.co_posonlyargcount,
        co_kwonlyargcount=code.co_kwonlyargcount,
        co_varnames=code.co_varnames[:count] + blank.co_varnames[count:],
        co_freevars=code.co_freevars,
        co_consts=_fill(blank, holes, constants),
        co_flags=blank.co_flags | code.co_flags & (VARARGS | VARKEYWORDS | NESTED | ITERABLE_COROUTINE),
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_filename=MARK + code.co_filename,
        co_firstlineno=code.co_firstlineno,
    )


def build_nested(template: str, code: CodeType, constants: dict[str, Any]) -> CodeType:
    """Return a trampoline for ``code`` that makes its original anew at every call, over the caller's own cells.

    For functions that are defined inside others: each call of the outer function makes another one, with
    other free variables, so that there is no single original to keep. ``$O`` is made by the body itself.
    """
    form = form_of(code)
    parameters = ", ".join(f"p{i}" for i in range(form.parameters))
    free = f"    nonlocal {', '.join(f'v{i:03}' for i in range(form.free))}\n" if form.free else ""
    prelude = f"def {_INNER}({parameters}):\n{free}    pass\n"
    built = build(prelude + template.replace("$O", _INNER), code, constants)
    return built.replace(
        co_consts=tuple(
            _original_of(code) if isinstance(c, CodeType) and c.co_name == _INNER else c for c in built.co_consts
        )
    )


def _original_of(code: CodeType) -> CodeType:
    flat = flatten(code)
    return flat.replace(co_consts=(*flat.co_consts, _ORIGINAL))


def is_original(code: CodeType) -> bool:
    """True for the code of an original that a trampoline of :func:`build_nested` makes for the time of a call."""
    return bool(code.co_consts) and code.co_consts[-1] == _ORIGINAL


def rewrite(code: CodeType, inner: dict[int, CodeType]) -> CodeType:
    """Return ``code`` in which the functions it defines, at any depth, have the code that ``inner`` gives for them.

    Args:
        inner: by ``id`` of the code to replace, because a rebuilt original may equal it.
    """
    consts = tuple(rewrite(inner.get(id(c), c), inner) if isinstance(c, CodeType) else c for c in code.co_consts)
    if all(a is b for a, b in zip(consts, code.co_consts, strict=True)):
        return code
    return code.replace(co_consts=consts)


def nested(code: CodeType) -> list[CodeType]:
    """Return the code of the functions defined inside ``code``, at any depth; lambdas and comprehensions left out."""
    found: list[CodeType] = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
            if constant.co_flags & OPTIMIZED:  # the body of a class has no fast locals
                found.append(constant)
            found.extend(nested(constant))
    return found


_ORIGINAL = "\x00mystic original"


def _fill(blank: CodeType, holes: Holes, constants: dict[str, Any]) -> tuple[Any, ...]:
    filled = list(blank.co_consts)
    for position, name in holes:
        filled[position] = constants[name]
    return tuple(filled)
