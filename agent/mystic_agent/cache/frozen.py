"""Which results may be handed out again as they are, and how the others are copied.

A mutable result that callers share would let one caller change what the next one gets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None), range, type(Ellipsis)})
_VALUES = frozenset(
    {
        ("datetime", "datetime"),
        ("datetime", "date"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        ("pathlib", "PosixPath"),
    }
)
MOST_PARTS = 10_000
ENTRY_BYTES = 200
"""What a cache takes for one entry besides its key and its result, about."""


def frozen(value: Any, parts: int = 1000) -> bool:
    """True when ``value`` and everything in it is immutable; unknown types count as mutable."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is tuple or kind is frozenset:
        return len(value) <= parts and all(frozen(item, parts // max(len(value), 1)) for item in value)
    if issubclass(kind, type):
        return True
    return (kind.__module__, kind.__qualname__) in _VALUES and getattr(
        sys.modules.get(kind.__module__), kind.__qualname__, None
    ) is kind


def copied(value: Any) -> Any:
    """Return a copy that shares nothing mutable with ``value``; plain containers without ``copy.deepcopy``'s cost.

    What is the same object twice in ``value`` is the same object twice in the copy.

    Raises:
        Exception: whatever the value's own ``__deepcopy__`` or ``__reduce_ex__`` raises.
    """
    return _copied(value, {})


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is not dict and kind is not list:
        import copy

        return copy.deepcopy(value, memo)
    made = memo.get(id(value))
    if made is not None:
        return made
    if kind is list:
        items = memo[id(value)] = []
        items.extend([item if type(item) in _PLAIN else _copied(item, memo) for item in value])
        return items
    pairs = memo[id(value)] = {}
    for key, item in value.items():
        pairs[key if type(key) in _PLAIN else _copied(key, memo)] = _copied(item, memo)
    return pairs


def weight(value: Any, parts: int = MOST_PARTS) -> int:
    """Return an estimate of the bytes ``value`` holds; containers of exact types are opened, others are not.

    Beyond ``parts`` parts the rest of a container is extrapolated.
    """
    size, left, seen, stack = 0, parts, set(), [value]
    while stack and left > 0:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        left -= 1
        kind = type(item)
        size += sys.getsizeof(item) if kind.__module__ == "builtins" else object.__sizeof__(item)
        if kind in (list, tuple, set, frozenset):
            stack.extend(item)
        elif kind is dict:
            stack.extend(item.keys())
            stack.extend(item.values())
        elif kind.__module__ != "builtins":
            try:
                stack.append(object.__getattribute__(item, "__dict__"))
            except AttributeError:
                continue
    return size if left > 0 else size * (1 + len(stack) // max(parts, 1))


def transient(value: Any, parts: int = 1000) -> str:
    """Return why ``value`` is good for one caller only, or an empty text; containers of exact types are opened.

    Iterators, coroutines and files are used up by their first reader; locks and sockets belong to somebody.
    """
    stack, left = [value], parts
    while stack and left > 0:
        item = stack.pop()
        left -= 1
        kind = type(item)
        if kind in _PLAIN:
            continue
        if kind in (list, tuple, set, frozenset):
            stack.extend(item)
        elif kind is dict:
            stack.extend(item.values())
        elif _used_up(kind):
            return f"result of type {kind.__qualname__}, which one caller uses up"
    return ""


_READ_ONCE = frozenset(("__next__", "__anext__", "__await__"))
_OWNED = frozenset(
    {
        ("_io", "_IOBase"),
        ("_socket", "socket"),
        ("_thread", "lock"),
        ("_thread", "RLock"),
        ("_contextvars", "Token"),
        ("asyncio.locks", "_ContextManagerMixin"),
        ("builtins", "memoryview"),
    }
)
_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__


def _used_up(kind: type) -> bool:
    bases = _mro(kind)
    if any(not _READ_ONCE.isdisjoint(base.__dict__) for base in bases):
        return True
    return any((base.__module__, base.__qualname__) in _OWNED for base in bases)


def reraisable(error: Exception) -> Exception:
    """Return a copy of ``error`` that can be raised again: without traceback, cause and context.

    Raises:
        Exception: when its type does not copy to an exception of the same type.
    """
    import copy

    made = copy.copy(error)
    if type(made) is not type(error) or made is error:
        raise TypeError(f"{type(error).__qualname__} copies to something else")
    made.__cause__ = made.__context__ = None
    made.__suppress_context__ = error.__suppress_context__
    return made.with_traceback(None)
