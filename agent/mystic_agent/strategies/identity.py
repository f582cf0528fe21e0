"""What stands for an object in a key: the attributes that its owner has named."""

from __future__ import annotations

from typing import Any

from mystic_agent.cache.key import Unkeyable


def identity(value: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the attributes that stand for an object, without running its code but for slots."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        held = {}
    found = []
    for name in names:
        if name in held:
            found.append(held[name])
            continue
        try:
            found.append(object.__getattribute__(value, name))
        except AttributeError:
            raise Unkeyable(f"self has no attribute {name} to stand for it") from None
    return tuple(found)
