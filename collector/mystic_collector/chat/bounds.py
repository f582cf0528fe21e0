"""Typed content that is too long, made shorter. Law: pure; what is cut says so, and keeps its type."""

from __future__ import annotations

import json
from typing import Any

CUT = "Long texts, lists and objects in it were cut to fit."
_STEPS = ((8_000, 400), (4_000, 200), (2_000, 100), (1_000, 50), (400, 25), (150, 12), (60, 6), (40, 3))
"""Characters of a text and members of a list or object that are left, step by step."""
_FIELDS = 2
"""Levels at which objects are a tool's own: their members are what a schema demands."""


def size(value: Any) -> int:
    """Return the characters of ``value`` as JSON."""
    return len(json.dumps(value, default=str))


def bounded(value: dict[str, Any], most: int) -> dict[str, Any]:
    """Return ``value`` with its longest texts, lists and inner objects cut, until it has at most ``most`` characters.

    The members of ``value`` and of rows in its lists stay; notes that say where something comes from stay whole.
    """
    for text, members in _STEPS:
        if size(value) <= most:
            break
        note = value.get("note")
        value = {key: _cut(one, text, members, 1) for key, one in value.items()}
        if note is not None:
            value["note"] = note
    return value


def _cut(value: Any, text: int, members: int, depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= text else value[: text - 1] + "…"
    if isinstance(value, list):
        return [_cut(one, text, members, depth + 1) for one in value[:members]]
    if isinstance(value, dict):
        kept = list(value.items()) if depth <= _FIELDS else list(value.items())[:members]
        return {key: _cut(one, text, members, depth + 1) for key, one in kept}
    return value
