"""What a dotted name means in this process. Nothing is imported, and nothing of the application runs."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def split(name: str) -> tuple[str, str]:
    """Return (module, path in it) of a name: a builtin one, one with a colon, or the longest module that is loaded."""
    if ":" in name:
        module, _, path = name.partition(":")
        return module, path
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:end]) in sys.modules:
            return ".".join(parts[:end]), ".".join(parts[end:])
    return ".".join(parts[:-1]) or "builtins", parts[-1]


def held(module: str, path: str) -> Any:
    """Return what a loaded module holds under a path, or None; nothing of the application runs."""
    holder: Any = sys.modules.get(module)
    for part in path.split("."):
        holder = vars(holder).get(part) if isinstance(holder, (ModuleType, type)) else None
    return holder


def holder_of(module: str, qualname: str) -> type | None:
    """Return the class that holds ``module:qualname``, if it is loaded and there is one."""
    found = held(module, qualname.rpartition(".")[0])
    return found if isinstance(found, type) else None
