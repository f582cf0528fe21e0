"""The body of a trampoline, compiled once for each form of function.

A template is Python source in which ``@ARGS@`` stands for the parameters by position, as the arguments of a call, and
``$NAME`` for a constant. Its syntax tree is kept: for another number of parameters only their lists in it are filled
anew, which costs half of what reading the source again does.
"""

from __future__ import annotations

import _ast  # what `compile` makes; `ast` around it would be imported into every application that is observed
from functools import lru_cache
from types import CodeType
from typing import Any, cast

from mystic_agent.contract.named import NamedTuple

Holes = tuple[tuple[int, str], ...]
"""Where in ``co_consts`` which of the constants belongs."""

_NAME, _OUTER = "mystic_trampoline", "mystic_outer"
_ARGUMENTS = "mystic_arguments"
_SENTINEL = "\x00mystic:"
_MOST_TREES = 4
"""Of some 150 kB each. An application takes two or three: those of its functions, coroutines and generators."""

_AT: dict[str, Any] = {"lineno": 1, "end_lineno": 1, "col_offset": 0, "end_col_offset": 0}


class _Tree(NamedTuple):
    """The syntax tree of one template, and the lists in it that differ with the number of parameters."""

    module: _ast.Module
    parameters: list[_ast.arg]
    calls: list[list[_ast.expr]]


_trees: dict[tuple[str, tuple[str, ...], bool, int], _Tree] = {}


@lru_cache(maxsize=1024)
def compiled(
    template: str, names: tuple[str, ...], file: str, asynchronous: bool, parameters: int, free: int
) -> tuple[CodeType, Holes]:
    """Return the code of ``template``, all of it on its first line and without columns, and where its constants belong.

    Args:
        names: those of the constants.
        file: what the code says that it comes from.
        asynchronous: for a coroutine function or an asynchronous generator function.
        parameters, free: how many parameters and free variables, named ``p0``, ``p1``, … and ``v000``, ``v001``, ….
    """
    key = (template, names, asynchronous, free)
    # Taken out while it is filled and compiled: another thread, or a finalizer in this one, reads its own.
    tree = _trees.pop(key, None) or _read(*key)
    tree.parameters[:] = [_ast.arg(f"p{i}", None, None, **_AT) for i in range(parameters)]
    given = [_ast.Name(f"p{i}", _ast.Load(), **_AT) for i in range(parameters)]
    for arguments in tree.calls:
        arguments[:] = given
    module = compile(tree.module, file, "exec", dont_inherit=True, optimize=0)
    if len(_trees) < _MOST_TREES:
        _trees[key] = tree
    found = _find(module)
    assert found is not None  # noqa: S101 -- the source that was read always defines it
    holes = tuple(
        (position, constant[len(_SENTINEL) :])
        for position, constant in enumerate(found.co_consts)
        if isinstance(constant, str) and constant.startswith(_SENTINEL)
    )
    return found.replace(co_linetable=_without_columns(found)), holes


def _read(template: str, names: tuple[str, ...], asynchronous: bool, free: int) -> _Tree:
    module = cast(
        "_ast.Module", compile(_source(template, names, asynchronous, free), _NAME, "exec", _ast.PyCF_ONLY_AST, True)
    )
    parameters: list[_ast.arg] = []
    calls: list[list[_ast.expr]] = []
    waiting: list[Any] = [module]
    while waiting:
        node = waiting.pop()
        for name in node._fields:
            value = getattr(node, name)
            if isinstance(value, list):
                waiting.extend(one for one in value if isinstance(one, _ast.AST))
            elif isinstance(value, _ast.AST):
                waiting.append(value)
        if node._attributes:  # one line for every node: no instruction is needed where another line would begin
            node.lineno = node.end_lineno = 1
            node.col_offset = node.end_col_offset = 0
        if isinstance(node, _ast.Call):
            if any(isinstance(one, _ast.Name) and one.id == _ARGUMENTS for one in node.args):
                calls.append(node.args)
            if isinstance(node.func, _ast.Constant):
                # The compiler warns of a constant that is called, through filters that are the application's. Of this
                # it does not, and makes the same instructions.
                node.func = _ast.IfExp(_ast.Constant(True, None, **_AT), node.func, node.func, **_AT)
        elif isinstance(node, _ast.FunctionDef | _ast.AsyncFunctionDef) and node.name == _NAME:
            parameters = node.args.args
    return _Tree(module, parameters, calls)


def _source(template: str, names: tuple[str, ...], asynchronous: bool, free: int) -> str:
    body = template.replace("@ARGS@", _ARGUMENTS)
    for name in sorted(names, key=len, reverse=True):
        body = body.replace("$" + name, repr(_SENTINEL + name))
    lines = [f"{'async ' * asynchronous}def {_NAME}():"]
    outer = [f"v{i:03}" for i in range(free)]
    if outer:
        lines.append(f"    nonlocal {', '.join(outer)}")
    lines.extend("    " + line for line in body.strip("\n").split("\n"))
    if outer:
        lines = [f"def {_OUTER}():", f"    {' = '.join(outer)} = None", *("    " + line for line in lines)]
    return "\n".join(lines)


def _find(code: CodeType) -> CodeType | None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == _NAME:
                return constant
            if (deeper := _find(constant)) is not None:
                return deeper
    return None


def _without_columns(code: CodeType) -> bytes:
    """Return a line table that puts every instruction on the first line, so that tracebacks draw no carets under it.

    Entries of up to eight code units, of the kind "line but no column" with a line delta of 0; see
    Objects/locations.md of CPython, the same since 3.11.
    """
    units = len(code.co_code) // 2
    return b"".join(bytes((0x80 | 13 << 3 | min(8, units - at) - 1, 0)) for at in range(0, units, 8))
