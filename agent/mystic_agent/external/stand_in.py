"""Put functions in the place of attributes of a class or module, and take them out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_ABSENT = object()


class StandIns:
    """What stands in one process, oldest first."""

    def __init__(self) -> None:
        self._placed: list[tuple[Any, str, Any, Any]] = []

    def put(self, holder: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Let ``make(original)`` stand for an attribute that the holder has itself or inherits."""
        original = getattr(holder, name)
        standing = make(original)
        for kept in ("__name__", "__qualname__", "__doc__", "__module__"):
            try:
                setattr(standing, kept, getattr(original, kept))
            except (AttributeError, TypeError):
                pass
        standing.__wrapped__ = original
        before = vars(holder).get(name, _ABSENT)
        setattr(holder, name, standing)
        self._placed.append((holder, name, standing, before))

    def remove(self) -> None:
        """Put everything back but what somebody else has replaced since."""
        while self._placed:
            holder, name, standing, before = self._placed.pop()
            if vars(holder).get(name) is not standing:
                continue
            if before is _ABSENT:
                delattr(holder, name)
            else:
                setattr(holder, name, before)
