"""Decorators put above a function in its source, by the places in its syntax tree; every other byte stays as it is."""

from __future__ import annotations

import ast
import re

from mystic_agent.contract.errors import Invalid

from mystic_collector.discovery.source import Function, functions_of, parsed
from mystic_collector.export.expressed import MODULE


def decorated(text: str, qualname: str, line: int, decorators: list[str], package: str) -> str:
    """Return ``text`` with ``decorators`` directly above the ``def`` of ``qualname``, and their module imported.

    They go below the decorators that are there, because a hijack is on the function that those are given.

    Args:
        text: of a whole file.
        line: where the running function begins, to tell definitions of one name apart; 0 when unknown.
        decorators: without ``@``, outermost first.
        package: the top-level package of the file, or empty.

    Raises:
        Invalid: when there is no such function, or it cannot be told which.
    """
    if re.search(r"\r(?!\n)", text):
        raise Invalid("file", qualname, "its lines end in a lone carriage return; convert it first")
    tree = parsed(text)
    node = _node(tree, qualname, line)
    lines = text.split("\n")
    end = "\r" if lines[0].endswith("\r") else ""
    if any(ast.unparse(one).startswith(f"{MODULE}.") for one in node.decorator_list):
        raise Invalid("function", qualname, "it has an exported decorator already; take that away first")
    first = lines[node.lineno - 1]
    indent = first[: len(first) - len(first.lstrip())]
    if not first.lstrip().startswith(("def ", "async def ", "def\t", "async\tdef ")):
        raise Invalid("function", qualname, "its def does not begin a line; write it on a line of its own first")
    lines[node.lineno - 1 : node.lineno - 1] = [f"{indent}@{one}{end}" for one in decorators]
    return "\n".join(_imported(lines, tree, package, end))


def _node(tree: ast.Module, qualname: str, line: int) -> Function:
    found = [node for name, node in functions_of(tree) if name == qualname and not _overload(node)]
    if not found or "<locals>" in qualname:
        raise Invalid("function", qualname, "its file does not define it outside of other functions")
    if len(found) == 1:
        return found[0]
    for node in found:
        start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        if line and start <= line <= (node.end_lineno or 0):
            return node
    raise Invalid("function", qualname, f"its file defines it {len(found)} times; it cannot be told which is meant")


def _overload(node: Function) -> bool:
    return any(ast.unparse(one).rpartition(".")[2] == "overload" for one in node.decorator_list)


def _imported(lines: list[str], tree: ast.Module, package: str, end: str) -> list[str]:
    """Return the lines with the import of our module after the imports at the top, unless it is there."""
    wanted = f"from {package} import {MODULE}" if package else f"import {MODULE}"
    body = tree.body
    after, space = 0, 0
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        after, space, body = body[0].end_lineno or 0, 1, body[1:]
    for node in body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            break
        after, space = node.end_lineno or 0, 0
    if any(ast.unparse(node) == wanted for node in body if isinstance(node, ast.Import | ast.ImportFrom)):
        return lines
    new = [end] * space + [wanted + end]
    if after == 0:
        while after < len(lines) and lines[after].startswith("#"):
            after += 1
        new += [end]
    elif after >= len(lines) or lines[after].strip():
        new += [end] * (space or not isinstance(_next(tree, after), ast.Import | ast.ImportFrom))
    return [*lines[:after], *new, *lines[after:]]


def _next(tree: ast.Module, after: int) -> ast.stmt | None:
    return next((node for node in tree.body if node.lineno > after), None)
