"""One function in detail: signature, docstring, source, parameters, dependencies; from its source alone."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mystic_agent.contract.errors import Invalid

from mystic_collector.discovery.parameters import parameters
from mystic_collector.discovery.source import Function, functions_of, kind_of, own_nodes, python_files, read_tree
from mystic_collector.discovery.source import module_name as name_of

MOST_SOURCE = 100_000
_BUILTINS = frozenset(dir(builtins))


def find_file(function: str, root: Path, ignore: Iterable[str], reported: tuple[str, int] | None) -> tuple[Path, int]:
    """Return (file, line or 0) that defines ``function``.

    Args:
        function: ``module:qualname``.
        root: only files inside it are read, or the very file that an agent reported for this function.
        ignore: patterns discovery leaves out.
        reported: (file, line) by an agent, or None.

    Raises:
        Invalid: when no such file may be read.
    """
    module = function.partition(":")[0]
    if reported is not None and reported[0].endswith(".py") and Path(reported[0]).is_file():
        return Path(reported[0]), reported[1]
    tail = module.rpartition(".")[2]
    for file in python_files(root, tuple(ignore)):
        if file.stem in (tail, "__init__") and name_of(file, root) == module:
            if not file.resolve().is_relative_to(root.resolve()):
                break  # a link that leads out of the project
            return file, 0
    raise Invalid("function", function, f"no source of module {module!r} was found under PROJECT_ROOT")


def inspect(function: str, file: Path, line: int = 0) -> dict[str, Any]:
    """Return everything the source in ``file`` says about ``function``.

    Args:
        line: where the running function starts, to tell definitions of one name apart; 0 when unknown.

    Raises:
        Invalid: when the file cannot be read or does not define it.
    """
    _, _, qualname = function.partition(":")
    try:
        text, tree = read_tree(file)
    except (OSError, ValueError) as error:
        raise Invalid("function", function, f"its file {str(file)!r} cannot be read ({error})") from error
    found = [node for name, node in functions_of(tree) if name == qualname]
    if not found:
        raise Invalid("function", function, f"{str(file)!r} does not define {qualname!r}; it may be made at run time")
    node = next((one for one in found if line and _start(one) <= line <= (one.end_lineno or 0)), found[-1])
    owner, _, _ = qualname.rpartition(".")
    method = bool(owner) and not owner.endswith("<locals>") and not _static(node)
    source = "\n".join(text.splitlines()[_start(node) - 1 : node.end_lineno])
    return {
        "function": function,
        "kind": kind_of(node),
        "file": str(file),
        "line": _start(node),
        "signature": signature(node),
        "docstring": ast.get_docstring(node) or "",
        "source": source[:MOST_SOURCE],
        "decorators": [ast.unparse(one) for one in node.decorator_list],
        "parameters": parameters(node, method),
        "dependencies": dependencies(node, tree),
    }


def signature(node: Function) -> str:
    """Return ``name(arguments) -> result`` as written, without defaults being evaluated."""
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{prefix}{node.name}({ast.unparse(node.args)}){result}"


def dependencies(node: Function, tree: ast.Module) -> dict[str, list[str]]:
    """Return what the function refers to: ``imports`` (dotted), ``module`` (names of its own module), ``calls``."""
    imported = _imports(tree)
    own = {one.name for one in tree.body if isinstance(one, Function | ast.ClassDef)}
    own |= {
        target.id
        for one in tree.body
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name)
    }
    names = {one.id for one in own_nodes(node) if isinstance(one, ast.Name)}
    calls = {ast.unparse(one.func) for one in own_nodes(node) if isinstance(one, ast.Call) and _plain(one.func)}
    local = _imports(node)
    return {
        "imports": sorted({imported[name] for name in names if name in imported} | set(local.values())),
        "module": sorted((names & own) - {node.name}),
        "calls": sorted(call for call in calls if call not in _BUILTINS)[:200],
    }


def _imports(tree: ast.AST) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                found[alias.asname or alias.name] = base + ("" if base.endswith(".") else ".") + alias.name
    return found


def _plain(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _start(node: Function) -> int:
    return min([node.lineno, *(one.lineno for one in node.decorator_list)])


def _static(node: Function) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
