"""What stands for ``self`` where calls of a method are told apart."""

from __future__ import annotations

from _weakref import ref
from collections.abc import Callable
from typing import Any

from mystic_agent.cache.key import Unkeyable, canonical
from mystic_agent.cache.own_state import OwnState
from mystic_agent.strategies.identity import identity

MOST = 10_000
MOST_KINDS = 100


class Selves:
    """Objects that a cache could key stand for themselves.

    For others stands what the method's code reads of them, where that is all it does with them: what a cache would be
    told by ``identity`` or ``ignore``. Any other one is told apart by its identity alone.

    Args:
        state: what the method reads of its object; None when its code does not tell.

    Attributes:
        identity: the type of one that its identity alone tells apart, as ``module.qualname``; empty without one.
        own: attributes that stood for objects; None while none did.
    """

    def __init__(self, state: OwnState | None = None) -> None:
        self.identity = ""
        self.own: tuple[str, ...] | None = None
        self._state = state
        self._known: dict[type, Callable[[Any], Any]] = {}  # what stands for objects of a type
        self._numbers: dict[int, tuple[ref[Any], int]] = {}
        self._next = 0

    def stands_for(self, me: Any) -> Any:
        """Return ``me``, what the method reads of it, or a number that no other living or later object has.

        Raises:
            Unkeyable: when it can be neither keyed nor watched until it dies.
        """
        kind = type(me)
        way = self._known.get(kind)
        if way is None:
            way = self._way(me)
            if len(self._known) < MOST_KINDS:
                self._known[kind] = way
        return way(me)

    def _way(self, me: Any) -> Callable[[Any], Any]:
        """Return what makes the stand-ins of objects like this one."""
        for way in (_itself, self._read):
            try:
                canonical(way(me))
            except Unkeyable:
                continue
            return way
        return self._number

    def _read(self, me: Any) -> Any:
        """Return what the method reads of an object."""
        kind, state = type(me), self._state
        if state is None or not (kind in self._known or state.holds_for(kind)):
            raise Unkeyable("self")
        if state.methods and not state.methods.isdisjoint(_held(me)):  # an object with a method of its own
            return self._number(me)
        self.own = state.names
        return (kind, identity(me, state.names)) if state.names else None

    def _number(self, me: Any) -> tuple[str, int]:
        kind = type(me)
        self.identity = self.identity or f"{kind.__module__}.{kind.__qualname__}"[:200]
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


def _itself(me: Any) -> Any:
    return me


def _held(me: Any) -> Any:
    try:
        return object.__getattribute__(me, "__dict__")
    except AttributeError:
        return ()
