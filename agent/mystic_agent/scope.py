"""Which modules concern us: the project's own by default, those that targets or hijacks name besides.

Answers are cheap enough for every import of the process: a few string and dictionary operations.
"""

from __future__ import annotations

import os
import re
import sys
import zipimport
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from mystic_agent import aware
from mystic_agent.contract.target import Target
from mystic_agent.targets import OWN

FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages", "node_modules", ".venv", "venv", ".tox", ".nox"})


class Scope:
    """What is ours to look at.

    Args:
        root: the project's folder, or empty for none.
        ignore: names or globs of folders and files that are left out, as in ``.mystic/config.json``.
        targets: patterns that replace the project as the default.
    """

    def __init__(self, root: str, ignore: Sequence[str], targets: Sequence[Target]) -> None:
        self.root = os.path.join(os.path.realpath(root), "") if root else ""
        self.targets = tuple(targets)
        self.named: tuple[Target, ...] = ()
        self._ignored = _matcher(ignore)
        self._folders: dict[str, bool] = {}
        self._real: dict[str, str] = {}
        self._prefixes = tuple(
            os.path.join(os.path.realpath(p), "")
            for p in {sys.prefix, sys.base_prefix}
            if os.path.realpath(p) != self.root[:-1]
        )

    def name(self, targets: Iterable[Target]) -> None:
        """Add what the hijacks in force name; replaces what was named before.

        A pattern over every module adds none: by "all functions" people mean those of their project, and a hijack on
        ``*:*`` must not reach the interpreter's own library.
        """
        self.named = tuple(target for target in targets if target.module.strip("*"))

    def wants_module(self, name: str, path: Iterable[str] | None) -> bool:
        """True when the module about to be imported may hold a function of interest.

        Args:
            name: full name of the module.
            path: the parent package's ``__path__``, or None for a top-level module.
        """
        if self._own(name):
            return False
        if self.named and any(target.wants_module(name) for target in self.named):
            return True
        if self.targets:
            return any(target.wants_module(name) for target in self.targets)
        if not self.root:
            return False
        for entry in sys.path if path is None else path:
            if self._project_folder(entry) and _holds(entry or ".", name.rpartition(".")[2]):
                return True
        return False

    def wants_loaded(self, name: str, module: ModuleType) -> bool:
        """True when a module that is already loaded may hold a function of interest."""
        if self._own(name) or not issubclass(type(module), ModuleType):
            return False
        if name in aware.MODULES or any(target.wants_module(name) for target in self.named):
            return True
        return self.by_default(name, module)

    def by_default(self, name: str, module: ModuleType) -> bool:
        """True when the module's functions are observed without being named by a hijack."""
        if self._own(name):
            return False
        if self.targets:
            return any(target.wants_module(name) for target in self.targets)
        file = vars(module).get("__file__")
        return bool(self.root) and type(file) is str and self._project_file(file)

    def owns(self, name: str) -> bool:
        """True when the module, loaded or to be found, is part of the project."""
        if self._own(name) or not self.root:
            return False
        module = sys.modules.get(name)
        if module is not None:
            file = vars(module).get("__file__") if issubclass(type(module), ModuleType) else None
            return type(file) is str and self._project_file(file)
        package, _, last = name.rpartition(".")
        parent = sys.modules.get(package)
        if package and not issubclass(type(parent), ModuleType):
            return False
        path = vars(parent).get("__path__", ()) if parent is not None else sys.path
        return any(self._project_folder(entry) and _holds(entry or ".", last) for entry in path)

    def wants_function(self, module: str, qualname: str, default: bool) -> bool:
        """True when a function is to be observed: of a module that is so by default, or because it asks for it."""
        if (module, qualname) in aware.FUNCTIONS:
            return True
        if not default:
            return False
        for target in self.targets:
            if target.matches(module, qualname):
                return True
        return not self.targets

    def _own(self, name: str) -> bool:
        return name.partition(".")[0] in OWN

    def _project_file(self, file: str) -> bool:
        if os.path.islink(file):
            file = os.path.realpath(file)
        folder, _, base = file.rpartition(os.sep)  # where the folder really is, is found out once for all of its files
        return self._project_folder(folder) and not self._ignored(base)

    def _project_folder(self, folder: Any) -> bool:
        if type(folder) is not str:
            return False
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = self._look(os.path.join(self._realpath(folder), ""))
        return known

    def _realpath(self, folder: str) -> str:
        """Return where a folder really is; of the folders above it, which others share, that is found out once."""
        known = self._real.get(folder)
        if known is None:
            above, _, last = folder.rpartition(os.sep)
            if last in ("", ".", "..") or not os.path.isabs(folder) or os.path.islink(folder):
                known = os.path.realpath(folder or ".")
            else:
                known = os.path.join(self._realpath(above) if above else os.sep, last)
            self._real[folder] = known
        return known

    def _look(self, folder: str) -> bool:
        if not folder.startswith(self.root) or any(
            folder.startswith(p) for p in self._prefixes if p.startswith(self.root)
        ):
            return False
        parts = folder[len(self.root) :].split(os.sep)
        return not any(part in FOREIGN_FOLDERS or (part and self._ignored(part)) for part in parts)


def _holds(folder: str, name: str) -> bool:
    stem = os.path.join(folder, name)
    return os.path.isdir(stem) or os.path.isfile(stem + ".py") or (not os.path.isdir(folder) and _zipped(folder, name))


def _zipped(folder: str, name: str) -> bool:
    """True when ``folder`` is an archive, or a folder inside of one, that has the module."""
    try:
        return zipimport.zipimporter(folder).find_spec(name) is not None
    except ImportError:
        return False


def _matcher(globs: Sequence[str]) -> Any:
    if not globs:
        return lambda name: None
    parts = [re.escape(g.strip("/")).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for g in globs if g.strip("/")]
    return re.compile("|".join(parts) or r"(?!)").fullmatch
