"""A module has finished loading: hand it over.

A finder in front of all others asks ``wants`` first; only what matters gets a loader of ours around its own.
Nothing is imported here: the interpreter asks finders while it holds its global import lock, and an import
under that lock waits for ever as soon as another thread is in the middle of one. That is also why wrapt's
post-import hooks, whose import brings asyncio, do not give the moment.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mystic_agent.guard import guard


class Finder:
    """The first entry of ``sys.meta_path``; it finds what the others find.

    Args:
        wants: (module name, parent's path or None) → whether the module matters; must be cheap.
        loaded: called with each such module, after it has been executed (again).
    """

    def __init__(
        self, wants: Callable[[str, Sequence[str] | None], bool], loaded: Callable[[ModuleType], None]
    ) -> None:
        self._wants = wants
        self._loaded = loaded
        self._busy: set[str] = set()
        self._on = False

    def install(self) -> Callable[[], None]:
        """Start watching imports; return the undo."""
        self._on = True
        sys.meta_path.insert(0, self)
        return self._remove

    def _remove(self) -> None:
        self._on = False
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return None, or for a module that matters the others' answer with our loader around theirs."""
        if not self._on:
            return None
        if sys.meta_path[0] is not self:
            guard.run("imports.lead", self._lead, None)
        if name in self._busy or not guard.run("imports.wants", self._wants, False, name, path):
            return None
        self._busy.add(name)
        try:
            # What another finder raises here it raises again when the interpreter asks it itself.
            return guard.run("imports.chain", self._chain, None, name, path, target)
        finally:
            self._busy.discard(name)

    def _lead(self) -> None:
        """Come first again: somebody's finder was put in front, and what it finds we would not see (pytest's does)."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            sys.meta_path.insert(0, self)

    def _chain(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        finders: list[Any] = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :]:
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec is not None else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):  # neither a namespace package nor a loader of Python 2's kind
                    spec.loader = Loader(spec.loader, self._arrived)  # type: ignore[assignment]
                return spec
        return None

    def _arrived(self, module: ModuleType) -> None:
        if self._on:
            guard.run("imports.loaded", self._loaded, None, module)


class Loader:
    """Stands before a module's own loader until the module is executed, and passes for it.

    Args:
        own: the loader that the module would have without us.
        arrived: called when it has executed the module.
    """

    def __init__(self, own: Any, arrived: Callable[[ModuleType], None]) -> None:
        self.__own = own
        self.__arrived = arrived

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.__own)

    def __getattr__(self, name: str) -> Any:
        if name == "_Loader__own":  # being copied: there is nothing inside yet
            raise AttributeError(name)
        return getattr(self.__own, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let the own loader make the module, under a spec that names it."""
        given, spec.loader = spec.loader, self.__own  # somebody's lazy loader may stand before ours
        try:
            create = getattr(self.__own, "create_module", None)
            return create(spec) if create is not None else None
        finally:
            spec.loader = given

    def exec_module(self, module: ModuleType) -> None:
        """Let the own loader execute the module, which sees it as its only one, then hand the module over."""
        space = object.__getattribute__(module, "__dict__")
        spec = space.get("__spec__")
        if spec is not None and spec.loader is self:
            spec.loader = self.__own
        if space.get("__loader__") is self:
            space["__loader__"] = self.__own
        self.__own.exec_module(module)
        if type(module).__name__ != "_LazyModule":  # its code runs when somebody first looks inside, not by us
            self.__arrived(module)


# The interpreter takes its own frames out of the traceback of a failed import as far as they stand together
# (`remove_importlib_frames` in Python/import.c); under this file name ours goes with them.
for _method in (Loader.create_module, Loader.exec_module):
    _method.__code__ = _method.__code__.replace(co_filename="<frozen importlib._bootstrap>")
