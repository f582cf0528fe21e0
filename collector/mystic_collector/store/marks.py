"""Marks as both stores keep them: one JSON text each.

Beside the records because those are also imported by the chat, which is installed without a JSON library.
"""

from __future__ import annotations

import orjson
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.mark import Mark, parse_marks


def marks_in(body: str) -> list[Mark]:
    """Return the mark that a store keeps as JSON, or none when a newer collector has written it."""
    try:
        return list(parse_marks([orjson.loads(body)], "mark"))
    except (Invalid, orjson.JSONDecodeError):
        return []
