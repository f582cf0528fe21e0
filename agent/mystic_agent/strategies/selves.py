"""What stands for ``self`` where calls of a method are told apart."""

from __future__ import annotations

from _weakref import ref
from typing import Any

from mystic_agent.cache.key import Unkeyable, canonical

MOST = 10_000
MOST_KINDS = 100


class Selves:
    """Objects that a cache could key stand for themselves; any other one is told apart by its identity alone.

    Attributes:
        identity: the type of such another one, as ``module.qualname``; empty while there was none.
    """

    def __init__(self) -> None:
        self.identity = ""
        self._known: dict[type, bool] = {}  # whether objects of a type have a key
        self._numbers: dict[int, tuple[ref[Any], int]] = {}
        self._next = 0

    def stands_for(self, me: Any) -> Any:
        """Return ``me``, or a number that no other living or later object has.

        Raises:
            Unkeyable: when it can be neither keyed nor watched until it dies.
        """
        kind = type(me)
        keyable = self._known.get(kind)
        if keyable is None:
            keyable = self._keyable(me)
            if len(self._known) < MOST_KINDS:
                self._known[kind] = keyable
        return me if keyable else self._number(me, kind)

    def _keyable(self, me: Any) -> bool:
        try:
            canonical(me)
        except Unkeyable:
            self.identity = f"{type(me).__module__}.{type(me).__qualname__}"[:200]
            return False
        return True

    def _number(self, me: Any, kind: type) -> tuple[str, int]:
        known = self._numbers.get(id(me))
        if known is not None and known[0]() is me:
            return "self", known[1]
        if len(self._numbers) >= MOST:
            self._numbers = {key: one for key, one in self._numbers.items() if one[0]() is not None}
        self._next += 1
        try:
            if len(self._numbers) < MOST:
                self._numbers[id(me)] = (ref(me), self._next)
        except TypeError:
            raise Unkeyable(f"argument of type {kind.__module__}.{kind.__qualname__}"[:200]) from None
        return "self", self._next
