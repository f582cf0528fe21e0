"""Digests of what calls are given and give back: equal values have equal ones, in every process of a service.

They are keyed, so that what leaves the process tells which calls were alike, and nothing of the values.
"""

from __future__ import annotations

import os
from _blake2 import blake2b  # what hashlib hands out, without importing the rest of it
from collections.abc import Callable
from typing import Any

from mystic_agent.cache.key import SIMPLE, Unkeyable, canonical
from mystic_agent.cache.portable import portable

_SIMPLE = frozenset(SIMPLE)
LONGEST_SIMPLE = 1000
_HUGE = 1 << 1000  # above it, writing a number down takes long, or is refused
_HERE = os.urandom(16)


def digests(service: str, secret: str = "") -> Callable[[tuple[Any, ...]], int]:
    """Return what turns a tuple of values into 64 bits.

    Args:
        service: processes with the same service and secret agree.
        secret: what a stranger must not know, so that he cannot try values out; the key of the collector's API.
    """
    salt = blake2b(service.encode("utf-8", "surrogatepass"), key=secret.encode()[:64], digest_size=32).digest()
    fresh = blake2b(key=salt, digest_size=8)

    def digest(values: tuple[Any, ...]) -> int:
        """Return 64 bits.

        Raises:
            Unkeyable: when a value cannot be told apart safely.
        """
        hasher = fresh.copy()
        hasher.update(_plainly(values) or _portably(canonical(values)))
        return int.from_bytes(hasher.digest(), "little")

    return digest


def _plainly(values: tuple[Any, ...]) -> bytes:
    """Return short values of simple types as they are written in source, types and all; else nothing."""
    if not _SIMPLE.issuperset(map(type, values)):
        return b""
    for value in values:
        if type(value) is int:
            if not -_HUGE < value < _HUGE:
                return b""
        elif value is not None and type(value) is not bool and len(value) > LONGEST_SIMPLE:
            return b""
    return repr(values).encode("utf-8", "surrogatepass")


def _portably(key: Any) -> bytes:
    """Return a canonical key as bytes; what means something in this process only is like nothing elsewhere."""
    try:
        return b"\0" + portable(key)
    except Unkeyable:
        return b"\1" + _HERE + hash(key).to_bytes(8, "little", signed=True)
