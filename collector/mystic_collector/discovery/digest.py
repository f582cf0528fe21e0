"""What the source of functions says, in a few bytes: equal as long as the code is, whatever its layout and comments."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from mystic_collector.discovery.source import Function, functions_of, read_tree

MOST_FUNCTIONS = 200


def digests(functions: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """Return function → digest of at most MOST_FUNCTIONS functions; those that cannot be read are left out.

    Args:
        functions: ``module:qualname`` with the file that defines it.
    """
    wanted: dict[Path, list[str]] = {}
    for function, file in list(functions)[:MOST_FUNCTIONS]:
        wanted.setdefault(file, []).append(function)
    found: dict[str, str] = {}
    for file, listed in wanted.items():
        try:
            _, tree = read_tree(file)
        except (OSError, ValueError):
            continue
        nodes: dict[str, list[Function]] = {}
        for qualname, node in functions_of(tree):
            nodes.setdefault(qualname, []).append(node)
        for function in listed:
            same = nodes.get(function.partition(":")[2])
            if same:
                found[function] = _digest(same)
    return found


def _digest(nodes: list[Function]) -> str:
    """Return the digest of all definitions of one name: a property's getter and setter, say."""
    return sha256("\n".join(sorted(map(_text, nodes))).encode()).hexdigest()[:16]


def _text(node: Function) -> str:
    """Return the function without its docstring, as one way to write it."""
    body = node.body
    if ast.get_docstring(node, clean=False) is not None:
        body = body[1:] or [ast.Pass()]
    bare = copy.copy(node)
    bare.body = body
    return ast.unparse(bare)
