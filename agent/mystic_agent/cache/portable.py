"""A call's key as bytes that are the same in every process that runs the same code.

What a key holds by identity, classes and functions, is written by name; only what can be found under that name again
is taken. The code of the function itself is part of the key, so that another version of it has other keys.
"""

from __future__ import annotations

import struct
import sys
from hashlib import blake2b
from types import CodeType
from typing import Any

from mystic_agent.cache.key import Same, Unkeyable


def portable(key: Any) -> bytes:
    """Return what ``canonical`` has made of the arguments, as bytes.

    Raises:
        Unkeyable: when a part means something in this process only.
    """
    kind = type(key)
    if kind is tuple:
        return _joined(b"t", [portable(part) for part in key])
    if kind is frozenset:
        return _joined(b"f", sorted(portable(part) for part in key))
    if kind is Same:
        return b"c" + _sized(_named(key.of))
    if isinstance(key, type):
        return b"c" + _sized(_named(key))
    if kind is str:
        return b"s" + _sized(key.encode("utf-8", "surrogatepass"))
    if kind is bytes:
        return b"b" + _sized(key)
    if kind is int:
        return b"i" + _sized(hex(key).encode())
    if key is None or kind is bool:
        return b"n" if key is None else b"y" if key else b"x"
    raise Unkeyable(f"shared scope: a {kind.__name__} in the key")


def fingerprint(code: CodeType) -> str:
    """Return what tells versions of a function's code apart, and of Python; file and lines do not count."""
    digest = blake2b(digest_size=16)
    digest.update(repr(sys.version_info[:2]).encode())
    _feed(digest, code)
    return digest.hexdigest()


def _feed(digest: Any, code: CodeType) -> None:
    parts = (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags, code.co_exceptiontable)
    digest.update(repr(parts).encode("utf-8", "surrogatepass"))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed(digest, constant)
        else:
            shown = sorted(map(repr, constant)) if isinstance(constant, frozenset) else repr(constant)
            digest.update(f"{type(constant).__name__} {shown}\0".encode("utf-8", "surrogatepass"))


def _named(thing: Any) -> bytes:
    if thing is type(None):
        return b"None"
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if isinstance(thing, type) and isinstance(module, str) and isinstance(name, str):
        held: Any = sys.modules.get(module)
        for part in name.split("."):
            held = vars(held).get(part) if hasattr(held, "__dict__") else None
        if held is thing and module != "__main__":
            return f"{module}:{name}".encode("utf-8", "surrogatepass")
    raise Unkeyable("shared scope: a class or function in the key that other processes may not have")


def _joined(tag: bytes, parts: list[bytes]) -> bytes:
    return tag + struct.pack(">I", len(parts)) + b"".join(_sized(part) for part in parts)


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
