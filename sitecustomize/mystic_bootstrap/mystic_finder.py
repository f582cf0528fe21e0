"""Finds the agent and wrapt when they are not installed where the application's Python looks.

They may lie in a source checkout, beside this folder in a copied tree, or in another environment's
site-packages. Putting such a folder on ``sys.path``, even at its end, would show the application modules
it does not have without us; a finder at the end of ``sys.meta_path`` gives it exactly the names below,
and the application's own versions win.
"""

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder

NAMES = ("mystic_agent", "mystic_bootstrap", "wrapt")


class Finder:
    """Looks for ``NAMES``, and nothing else, in ``folders``."""

    def __init__(self, folders: "list[str]") -> None:
        self.folders = folders

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """Return the spec of a top-level module of ours, as ``importlib.abc.MetaPathFinder`` defines."""
        if path is None and name in NAMES:
            return PathFinder.find_spec(name, self.folders)
        return None


def install(bootstrap: str) -> str:
    """Make the agent and wrapt importable, adding a finder only when they are not.

    Args:
        bootstrap: the ``mystic_bootstrap`` folder.

    Returns:
        What is missing and how to remedy it; empty when all is there.
    """
    absent = [name for name in NAMES if name not in sys.modules and importlib.util.find_spec(name) is None]
    if not absent:
        return ""
    finder = Finder(_folders(bootstrap))
    lost = [name for name in absent if finder.find_spec(name) is None]
    if lost:
        where = sys.executable or "this Python"
        return f"{' and '.join(lost)} not found, run '{where} -m pip install gnosis-mystic'"
    sys.meta_path.append(finder)
    return ""


def _folders(bootstrap: str) -> "list[str]":
    beside = os.path.dirname(bootstrap)
    checkout = os.path.dirname(beside)
    folders = [beside, os.path.join(checkout, "agent")]
    # A checkout's own environment, made by its Makefile: wrapt runs from it on any version, if need be in pure Python.
    libraries = os.path.join(checkout, ".venv", "lib")
    if os.path.isdir(libraries):
        folders += [os.path.join(libraries, one, "site-packages") for one in sorted(os.listdir(libraries))]
    return folders
