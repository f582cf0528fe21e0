"""Where the source of a module is, for those who look for it by the file name of a trampoline.

``linecache`` asks the module's loader then, and not every loader can tell: pytest's, which rewrites assertions.
"""

from __future__ import annotations

from types import ModuleType

from mystic_agent.trampoline import MARK


def remember(module: ModuleType) -> None:
    """Let the source of ``module`` be found, when its loader cannot; nothing is read before somebody asks for it."""
    space = vars(module)
    file = space.get("__file__")
    if type(file) is not str or not file.endswith(".py") or hasattr(space.get("__loader__"), "get_source"):
        return
    import linecache

    def read() -> str:
        return "".join(linecache.getlines(file))

    linecache.cache[MARK + file] = (read,)
