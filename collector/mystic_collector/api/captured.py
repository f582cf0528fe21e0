"""What was captured in an application, as it is shown: labelled, and without control characters.

Arguments, messages and names are foreign text: whoever reads them, a terminal or a model, must be able to tell them
from what Mystic itself says, and nothing in them may act on the reader's screen.
"""

from __future__ import annotations

from typing import Any

_KEPT = "\n\t"
# Marks that turn the direction of text or show nothing: a reader would see something else than what is there.
_INVISIBLE = frozenset(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)))


def captured(fields: dict[str, Any]) -> dict[str, Any]:
    """Return ``fields`` with ``"captured": true`` and with every text in them stripped."""
    return {**{key: stripped(value) for key, value in fields.items()}, "captured": True}


def stripped(value: Any) -> Any:
    """Return a JSON value without control characters in its texts and keys; lines and tabs stay."""
    if isinstance(value, str):
        if value.isprintable() and value.isascii():
            return value
        return "".join(one for one in value if one in _KEPT or (one.isprintable() and one not in _INVISIBLE))
    if isinstance(value, dict):
        return {stripped(key): stripped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [stripped(one) for one in value]
    return value
