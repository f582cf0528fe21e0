"""Functions that ask to be observed, by a decorator in the application's own source. Data only."""

from __future__ import annotations

import sys
from types import ModuleType

MOST = 10_000
FUNCTIONS: set[tuple[str, str]] = set()
"""(module, qualname)."""

MODULES: set[str] = set()
"""Their modules."""

_waiting: set[str] = set()


def add(module: str, qualname: str) -> None:
    """Remember a function; it is observed as soon as its module has been loaded."""
    if len(FUNCTIONS) < MOST:
        FUNCTIONS.add((module, qualname))
        if module not in MODULES:
            MODULES.add(module)
            _waiting.add(module)


def waiting() -> list[ModuleType]:
    """Return, once each, the modules that have been loaded since a function of theirs asked first."""
    found = []
    for name in tuple(_waiting):
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if type(module) is ModuleType and not getattr(spec, "_initializing", False):
            _waiting.discard(name)
            found.append(module)
    return found
