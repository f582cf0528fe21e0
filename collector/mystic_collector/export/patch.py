"""Texts before and after → a patch that ``git apply`` and ``patch -p1`` take. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping


def unified(changes: Mapping[str, tuple[str | None, str]]) -> str:
    """Return the patch of all files.

    Args:
        changes: path, relative and with ``/``, → (text before, or None for a new file; text after).
    """
    return "".join(_file(path, before, after) for path, (before, after) in sorted(changes.items()) if before != after)


def _file(path: str, before: str | None, after: str) -> str:
    old, new = _lines(before or ""), _lines(after)
    head = [f"diff --git a/{path} b/{path}\n"]
    if before is None:
        head.append("new file mode 100644\n")
    source = "/dev/null" if before is None else f"a/{path}"
    body = []
    for line in difflib.unified_diff(old, new, source, f"b/{path}", n=3):
        body.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join([*head, *body])


def _lines(text: str) -> list[str]:
    """Return the lines with their ends; only a line feed ends one, whatever else Python takes for a line break."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
