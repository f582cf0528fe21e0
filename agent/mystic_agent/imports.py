"""A module has finished loading: hand it over.

wrapt gives the moment. It needs to be told each name beforehand, and it costs several megabytes and tens of
milliseconds to load, so a thin finder in front asks ``wants`` first and registers with wrapt only what matches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mystic_agent.guard import guard


class Finder:
    """The first entry of ``sys.meta_path``; it never finds anything itself.

    Args:
        wants: (module name, parent's path or None) → whether the module matters; must be cheap.
        loaded: called once with each such module, after it has been executed.
    """

    def __init__(
        self, wants: Callable[[str, Sequence[str] | None], bool], loaded: Callable[[ModuleType], None]
    ) -> None:
        self._wants = wants
        self._loaded = loaded
        self._busy: set[str] = set()
        self._brought: list[Any] = []
        self._on = False

    def install(self) -> Callable[[], None]:
        """Start watching imports; return the undo."""
        self._on = True
        sys.meta_path.insert(0, self)
        return self._remove

    def _remove(self) -> None:
        self._on = False
        for finder in (self, *self._brought):
            if finder in sys.meta_path:
                sys.meta_path.remove(finder)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return None, or for a module that matters the spec that wrapt's finder makes of the others' answer."""
        if not self._on or name in self._busy or not guard.run("imports.wants", self._wants, False, name, path):
            return None
        self._busy.add(name)
        try:
            return guard.run("imports.chain", self._chain, None, name, path, target)
        finally:
            self._busy.discard(name)

    def _chain(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        before = list(sys.meta_path)
        import wrapt.importer as importer

        importer.register_post_import_hook(self._arrived, name)  # type: ignore[no-untyped-call]
        hooks = [f for f in sys.meta_path if isinstance(f, importer.ImportHookFinder)]
        # wrapt never takes its finder out again; remember the one that came because of us
        self._brought.extend(f for f in hooks if f not in before)
        for finder in hooks:
            spec: ModuleSpec | None = finder.find_spec(name, path, target)  # type: ignore[no-untyped-call]
            if spec is not None:
                return spec
        return None

    def _arrived(self, module: ModuleType) -> None:
        if self._on:
            guard.run("imports.loaded", self._loaded, None, module)
