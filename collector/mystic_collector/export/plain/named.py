"""Classes by the names that decorators are given. No decorator: the others' part."""

import builtins
import contextlib
import importlib
import sys


def _named(name):
    """Return the loaded class of a name (builtin, ``package.module.Name``, ``package.module:Name``), or None."""
    module, colon, path = name.partition(":")
    if not colon:
        module, _, path = name.rpartition(".")
        while "." in module and module not in sys.modules:
            module, _, last = module.rpartition(".")
            path = f"{last}.{path}"
    found = sys.modules.get(module) if module else builtins
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _is(error, names):
    """Return whether an exception is one of those named; nothing is imported for it."""
    kinds = tuple(kind for kind in map(_named, names) if isinstance(kind, type))
    told = {name.replace(":", ".") for name in names}
    return isinstance(error, kinds) or any(
        f"{one.__module__}.{one.__qualname__}" in told for one in type(error).__mro__
    )


def _made(name, text):
    """Return a new exception of the class called ``name``."""
    if _named(name) is None:
        with contextlib.suppress(ImportError):
            importlib.import_module(name.partition(":")[0] if ":" in name else name.rpartition(".")[0])
    return _named(name)(text)
