"""A value without its secrets, in the same form: what may be kept of a real result.

Only the types that ``contract.codec`` knows are opened. What stands under a secret name, and text that looks like a
secret, gives way to HIDDEN; everything else stays exactly as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mystic_agent.contract.codec import Unencodable
from mystic_agent.redact import HIDDEN, LONGEST_SCANNED, clean, secret_name

DEEPEST = 64
MOST_PARTS = 20_000
LONGEST_NAME = 200
"""Characters of what is still a name."""


def scrubbed(value: Any, names: Collection[str] = ()) -> Any:
    """Return ``value`` without secrets.

    Args:
        names: further names whose values are hidden.

    Raises:
        Unencodable: for text too long to be looked through, and for too many parts.
    """
    return _Scrub(names).value(value, 0)


class _Scrub:
    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._left = MOST_PARTS

    def value(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise Unencodable("value of too many parts")
        kind = type(value)
        if kind is str:
            return _text(value)
        if kind is int:
            return HIDDEN if _card(value) else value
        if kind in (bytes, bytearray):
            text = value.decode("latin-1")
            return value if _text(text) is text else kind(HIDDEN.encode())
        if kind is dict:
            return {
                self.value(key, depth + 1): HIDDEN if self._secret(key) else self.value(one, depth + 1)
                for key, one in value.items()
            }
        if kind in (list, tuple) and len(value) == 2 and self._secret(value[0]):  # headers are often listed in pairs
            return kind((self.value(value[0], depth + 1), HIDDEN))
        if kind in (list, tuple, set, frozenset):
            return kind(self.value(one, depth + 1) for one in value)
        return value

    def _secret(self, key: Any) -> bool:
        if type(key) is bytes:
            key = key[:LONGEST_NAME].decode("latin-1")
        return type(key) is str and len(key) <= LONGEST_NAME and secret_name(key, self._names)


def _card(value: int) -> bool:
    """True for what may be the number of a card, which never begins with 1 as times do (ISO/IEC 7812-1)."""
    return 10**12 <= value < 10**19 and str(value)[0] in "23456" and HIDDEN in clean(str(value))


def _text(text: str) -> str:
    """Return the very same text, or what is left of one that holds a secret."""
    if len(text) > LONGEST_SCANNED:
        raise Unencodable("text too long to be looked through for secrets")
    shown = clean(text)
    return shown if HIDDEN in shown and HIDDEN not in text else text
