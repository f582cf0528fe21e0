"""Functions with their strategies → one patch of the project."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.strategy import StrategySpec

from mystic_collector.discovery.source import MOST_FILE_BYTES, functions_of, kind_of, read_tree
from mystic_collector.export.edit import decorated
from mystic_collector.export.expressed import MODULE, decorators
from mystic_collector.export.module import module
from mystic_collector.export.patch import unified


@dataclass(frozen=True, slots=True)
class Wanted:
    """One function to be written as it runs.

    Attributes:
        function: ``module:qualname``.
        file, line: where it is defined; line 0 when unknown.
        strategies: of all its hijacks, outermost first.
        hijacks: their ids.
    """

    function: str
    file: Path
    line: int
    strategies: tuple[StrategySpec, ...]
    hijacks: tuple[str, ...]


@dataclass(slots=True)
class Export:
    """A patch, and what became of each function.

    Attributes:
        functions: those that it changes.
        refused: (function, reason) of the others.
        notes: what is otherwise than in the hijack.
    """

    patch: str = ""
    functions: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def export(wanted: Iterable[Wanted], root: Path) -> Export:
    """Return the patch of the project in ``root``; only files inside it are read."""
    done = Export()
    texts: dict[Path, tuple[str, str]] = {}
    needed: dict[Path, set[str]] = {}
    for one in wanted:
        try:
            path = _inside(one, root)
            before = texts.get(path) or (_read(path), "")
            kind = _kind(path, one)
            written, left_out = decorators(one.strategies, kind)
            package = _package(path, one)
            text, qualname = before[1] or before[0], one.function.partition(":")[2]
            after = decorated(text, qualname, _shifted(one, before), written, package)
        except Invalid as error:
            done.refused.append((one.function, f"{error.field} {error.shown}: {error.remedy}"))
            continue
        texts[path] = (before[0], after)
        home = _home(path, one) / f"{MODULE}.py"
        needed.setdefault(home, set()).update(name.partition("(")[0].rpartition(".")[2] for name in written)
        done.functions.append(one.function)
        done.notes += [f"{one.function}: {note}" for note in left_out]
    changes: dict[str, tuple[str | None, str]] = {}
    for home, names in needed.items():
        old = _read(home) if home.is_file() else None
        changes[home.relative_to(root).as_posix()] = (old, module(names, old or ""))
    changes |= {path.relative_to(root).as_posix(): pair for path, pair in texts.items()}
    done.patch = unified(changes)
    return done


def _inside(one: Wanted, root: Path) -> Path:
    path = one.file.resolve()
    if not path.is_relative_to(root.resolve()):
        raise Invalid("file", str(one.file), "it is outside of the project; only the project's own source is patched")
    return root / path.relative_to(root.resolve())


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise Invalid("file", str(path), f"it is larger than {MOST_FILE_BYTES} bytes")
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("file", str(path), f"it cannot be read as UTF-8 ({type(error).__name__})") from None


def _kind(path: Path, one: Wanted) -> str:
    try:
        _, tree = read_tree(path)
    except (OSError, ValueError) as error:
        raise Invalid("file", str(path), str(error)) from None
    qualname = one.function.partition(":")[2]
    return next((kind_of(node) for name, node in functions_of(tree) if name == qualname), "")


def _shifted(one: Wanted, before: tuple[str, str]) -> int:
    """Return the line in the text that is edited; after an earlier edit it is not known any more."""
    return 0 if before[1] else one.line


def _package(path: Path, one: Wanted) -> str:
    """Return the top-level package whose part the file is, or an empty text."""
    name = one.function.partition(":")[0]
    return name.partition(".")[0] if "." in name else ("" if path.name != "__init__.py" else name)


def _home(path: Path, one: Wanted) -> Path:
    """Return the folder in which the generated module is found under the name that is imported."""
    name = one.function.partition(":")[0]
    if path.name == "__init__.py":
        return path.parents[name.count(".")]
    return path.parents[max(0, name.count(".") - 1)]
