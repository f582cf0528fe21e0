"""Functions of a project, from its source files."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

MOST_FILE_BYTES = 5 * 2**20
ALWAYS_IGNORED = ("__pycache__", ".*", "node_modules", "site-packages", "*.egg-info")
OURS = ("mystic_server.py", "mystic_integration.py")
"""What ``mystic init`` puts into a project; nobody who asks for its functions means them."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class SourceFunction:
    """One function as its source has it.

    Attributes:
        function: ``module:qualname``.
        kind: function, coroutine, generator or async_generator.
        file: path relative to the project root.
        line: of the ``def``, or of its first decorator.
        decorators: as written, without ``@``.
        doc: first line of the docstring, or empty.
    """

    function: str
    kind: str
    file: str
    line: int
    decorators: tuple[str, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be understood, and why."""

    file: str
    reason: str


def python_files(root: Path, ignore: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the Python files under ``root`` in a stable order, without names or relative paths matching ``ignore``.

    Links to folders are not followed; folders that hold a virtual environment, and what ``mystic init`` writes, are
    left out.
    """
    patterns = (*ALWAYS_IGNORED, *OURS, *(pattern.rstrip("/") for pattern in ignore))
    for folder, folders, files in os.walk(root):
        where = Path(folder)
        inside = where.relative_to(root).as_posix()
        folders[:] = sorted(
            one for one in folders if not _ignored(one, inside, patterns) and not (where / one / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py") and not _ignored(name, inside, patterns):
                yield where / name


def _ignored(name: str, inside: str, patterns: Sequence[str]) -> bool:
    path = name if inside == "." else f"{inside}/{name}"
    return any(fnmatchcase(name, pattern) or fnmatchcase(path, pattern) for pattern in patterns)


def module_name(file: Path, root: Path) -> str:
    """Return the name under which ``file`` is imported.

    A package is as deep as its ``__init__.py`` files go; outside packages the path from ``root`` counts,
    or from ``root/src`` where there is one.
    """
    parts = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists() and folder != root:
        parts.append(folder.name)
        folder = folder.parent
    if not (file.parent / "__init__.py").exists():
        base = root / "src" if (root / "src") in (folder, *folder.parents) else root
        parts += reversed(folder.relative_to(base).parts)
    return ".".join(reversed(parts))


_PARSING = threading.Lock()
"""CPython 3.11 counts how deep all threads together are in making a tree, and fails when two make one at once."""


def parsed(text: str | bytes, file: str = "<unknown>") -> ast.Module:
    """Return the tree of a source, as ``ast.parse`` makes it, one after the other; it raises the same."""
    with _PARSING:
        return ast.parse(text, file)


def read_tree(file: Path) -> tuple[str, ast.Module]:
    """Return (text, tree) of a source file.

    Raises:
        ValueError: when it is too large, not Python, or not decodable.
        OSError: when it cannot be read.
    """
    if file.stat().st_size > MOST_FILE_BYTES:
        raise ValueError(f"larger than {MOST_FILE_BYTES} bytes")
    data = file.read_bytes()
    try:
        tree = parsed(data, str(file))
        text = _decode(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"not readable as Python: {str(error)[:200] or type(error).__name__}") from error
    return text, tree


def _decode(data: bytes) -> str:
    import io
    import tokenize

    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding)


def functions_of(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield (qualname, node) of every function, also in classes and in other functions."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield prefix + child.name, child
                waiting.append((f"{prefix}{child.name}.<locals>.", child))
            elif isinstance(child, ast.ClassDef):
                waiting.append((f"{prefix}{child.name}.", child))
            elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
                waiting.append((prefix, child))


def discover(root: Path, ignore: Sequence[str] = ()) -> tuple[list[SourceFunction], list[Unread]]:
    """Return every function under ``root``, and the files that could not be read."""
    found: list[SourceFunction] = []
    unread: list[Unread] = []
    for file in python_files(root, ignore):
        shown = file.relative_to(root).as_posix()
        try:
            _, tree = read_tree(file)
        except (OSError, ValueError) as error:
            unread.append(Unread(shown, str(error)))
            continue
        module = module_name(file, root)
        in_file = [_describe(module, qualname, node, shown) for qualname, node in functions_of(tree)]
        found += sorted(in_file, key=lambda one: one.line)
    return found, unread


def _describe(module: str, qualname: str, node: Function, file: str) -> SourceFunction:
    doc = (ast.get_docstring(node) or "").strip().partition("\n")[0]
    return SourceFunction(
        function=f"{module}:{qualname}",
        kind=kind_of(node),
        file=file,
        line=min([node.lineno, *(one.lineno for one in node.decorator_list)]),
        decorators=tuple(ast.unparse(one) for one in node.decorator_list),
        doc=doc[:200],
    )


def kind_of(node: Function) -> str:
    """Return function, coroutine, generator or async_generator."""
    yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in own_nodes(node))
    if isinstance(node, ast.AsyncFunctionDef):
        return "async_generator" if yields else "coroutine"
    return "generator" if yields else "function"


def own_nodes(node: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, not those of functions and classes inside it."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        one = waiting.pop()
        yield one
        if not isinstance(one, Function | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(one))
