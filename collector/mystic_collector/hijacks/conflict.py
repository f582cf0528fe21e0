"""Somebody else was faster: what the sender had seen is no longer what there is."""

from __future__ import annotations

from typing import Any


class Conflict(Exception):
    """The set, or the hijack in question, has changed since the version that the sender had seen.

    Args:
        expected: the version that the sender had seen.
        version: the version there is.
        current: the hijack as it is now, in its wire form; None when it is gone, or the whole set was meant.
    """

    def __init__(self, expected: int, version: int, current: dict[str, Any] | None = None) -> None:
        self.expected = expected
        self.version = version
        self.current = current
        super().__init__(f"it has changed since version {expected}; the current version is {version}")
