"""Where a function lies in the source, and what would keep the agent from attaching to it.

Law: reads source, imports nothing of the application.
"""

from __future__ import annotations

import ast
import difflib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder

from mystic_agent.contract.target import Target
from mystic_agent.settings import CONFIG_FILE, Settings

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Place:
    """What the source says about one function.

    Attributes:
        file, line: where it is defined; empty and 0 when not found.
        kind: one of the contract's KINDS; empty when not found.
        reasons: what keeps the agent from attaching, or limits what can be attached; empty when nothing does.
    """

    file: str = ""
    line: int = 0
    kind: str = ""
    reasons: tuple[str, ...] = ()


def locate(target: Target, settings: Settings) -> Place:
    """Find ``target``, which must be exact, under the project root and on ``sys.path``."""
    if target.module.split(".")[0].startswith("mystic_"):
        return Place(reasons=("the agent and the collector do not hijack themselves",))
    if target.module == "__main__":
        return Place(reasons=("'__main__' is whatever script a process runs: only a running process can tell",))
    if target.module in sys.builtin_module_names:
        return Place(
            kind="native", reasons=(f"module {target.module!r} is built into Python and holds no Python code",)
        )
    file = _module_file(target.module, settings.project_root)
    if not file:
        where = settings.project_root or "an unknown project root (set PROJECT_ROOT)"
        return Place(reasons=(f"module {target.module!r} was not found in {where} or on sys.path",))
    limits = tuple(_outside(file, target, settings))
    if file.endswith(tuple(EXTENSION_SUFFIXES)):
        native = "it is compiled: only calls through the module's own name are reached, not references taken earlier"
        return Place(file, 0, "native", (*limits, native))
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read(), file)
    except (OSError, SyntaxError, ValueError) as error:
        return Place(file, reasons=(*limits, f"its source cannot be read ({error})"))
    nodes = dict(_definitions(tree, ""))
    node = nodes.get(target.qualname)
    if isinstance(node, _Function):
        kind = _kind(node)
        return Place(file, node.lineno, kind, (*limits, *_restrictions(target.qualname, kind)))
    return Place(file, reasons=(*limits, _missing(target, node, nodes, tree)))


def _module_file(module: str, root: str) -> str:
    path = [*([root, os.path.join(root, "src")] if root else []), *(entry or os.getcwd() for entry in sys.path)]
    file = ""
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return ""
        file = spec.origin or ""
        path = list(spec.submodule_search_locations or ())
    return file


def _outside(file: str, target: Target, settings: Settings) -> Iterator[str]:
    """Yield why the default choice of functions leaves ``target`` out."""
    if settings.targets:
        if not any(one.matches(target.module, target.qualname) for one in settings.targets):
            named = ", ".join(map(str, settings.targets))
            yield f"MYSTIC_TARGETS names {named}: add '{target.module}', or hijack it by name"
        return
    root = settings.project_root
    inside = bool(root) and os.path.realpath(file).startswith(os.path.join(os.path.realpath(root), ""))
    if not inside:
        yield f"{file} lies outside the project root {root!r}: set MYSTIC_TARGETS={target.module}, or hijack it by name"
        return
    relative = os.path.relpath(os.path.realpath(file), os.path.realpath(root))
    parts = relative.split(os.sep)
    for pattern in settings.ignore_patterns:
        if any(fnmatch(part, pattern) for part in parts) or fnmatch(relative, pattern):
            yield f"{relative} is left out by the ignore pattern {pattern!r}: see ignore_patterns in {CONFIG_FILE}"
            return
    if "site-packages" in parts or "dist-packages" in parts:
        yield f"{relative} is an installed package: set MYSTIC_TARGETS={target.module}, or hijack it by name"


def _definitions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield (qualname, node) of every class and function below ``tree``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (*_Function, ast.ClassDef)):
            yield prefix + node.name, node
            inner = ".<locals>." if isinstance(node, _Function) else "."
            yield from _definitions(node, prefix + node.name + inner)
        else:
            yield from _definitions(node, prefix)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function's own body, without those of functions and classes inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*_Function, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _own_nodes(child)


def _kind(node: ast.AST) -> str:
    yields = any(isinstance(one, (ast.Yield, ast.YieldFrom)) for one in _own_nodes(node))
    if isinstance(node, ast.AsyncFunctionDef):
        return "async_generator" if yields else "coroutine"
    return "generator" if yields else "function"


def _restrictions(qualname: str, kind: str) -> Iterator[str]:
    if kind.endswith("generator"):
        yield "it is a generator: a cache on it is refused, because its items are made as they are asked for"
    if "<locals>" in qualname:
        yield "it is made anew by every call of the function around it: each is reached when it is made"


def _missing(target: Target, node: ast.AST | None, nodes: dict[str, ast.AST], tree: ast.Module) -> str:
    if isinstance(node, ast.ClassDef):
        methods = [name for name in nodes if name.startswith(f"{target.qualname}.") and "<locals>" not in name]
        return f"{target.qualname!r} is a class: name a method" + (f", e.g. '{methods[0]}'" if methods else "")
    for one in ast.walk(tree):
        if isinstance(one, ast.ImportFrom):
            for alias in one.names:
                if (alias.asname or alias.name) == target.qualname:
                    return f"{target.qualname!r} is only imported there: name it as '{one.module}:{alias.name}'"
    functions = [name for name, one in nodes.items() if isinstance(one, _Function)]
    close = difflib.get_close_matches(target.qualname, functions, 3)
    hint = f": did you mean {' or '.join(map(repr, close))}?" if close else ""
    return f"no function {target.qualname!r} is defined in {target.module!r}{hint}"
