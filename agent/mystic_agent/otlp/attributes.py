"""Attributes as OTLP ``KeyValue`` messages."""

from __future__ import annotations

from collections.abc import Iterable

from mystic_agent.otlp.protobuf import DOUBLE, MASK64, delimited, utf8, varint
from mystic_agent.records import Attribute

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_MOST_BITS = 4096


_MOST_KEYS = 10_000
_keys: dict[str, bytes] = {}


def encode_attributes(number: int, attributes: Iterable[Attribute]) -> bytes:
    """Return ``attributes`` as repeated field ``number`` (below 16) of some message, in their order.

    An int beyond 64 bits is sent as its decimal text, since OTLP has no wider number. A value of a type
    that records do not allow is sent as the name of its type: calling its ``repr`` would run foreign code.
    """
    tag = bytes((number << 3 | 2,))
    parts: list[bytes] = []
    for key, value in attributes:
        named = _keys.get(key) or _name(key)
        if type(value) is str:
            text = value.encode("utf-8", "replace")
            size = len(text)
            before = _BEFORE_TEXT[size] if size < _SHORT_TEXT else _before_text(size)
            parts += (tag, varint(len(named) + len(before) + size), named, before, text)
        elif type(value) is int and _LOWEST <= value <= _HIGHEST:
            digits = varint(value & MASK64)
            size = len(digits) + 1
            parts += (tag, varint(len(named) + 2 + size), named, b"\x12", varint(size), b"\x18", digits)
        else:
            wrapped = delimited(2, _value(value))
            parts += (tag, varint(len(named) + len(wrapped)), named, wrapped)
    return b"".join(parts)


def _name(key: str) -> bytes:
    made = delimited(1, utf8(key))
    if len(_keys) >= _MOST_KEYS:
        _keys.clear()
    if len(made) <= _SHORT_TEXT:
        _keys[key] = made
    return made


def _before_text(size: int) -> bytes:
    """Return what stands in a ``KeyValue`` between its key and a text of ``size`` bytes."""
    length = varint(size)
    return b"\x12" + varint(1 + len(length) + size) + b"\x0a" + length


_SHORT_TEXT = 128
_BEFORE_TEXT = tuple(_before_text(size) for size in range(_SHORT_TEXT))


def _value(value: str | int | float | bool) -> bytes:
    if isinstance(value, str):
        return delimited(1, utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        if _LOWEST <= value <= _HIGHEST:
            return b"\x18" + varint(value & MASK64)
        bits = value.bit_length()
        return delimited(1, utf8(str(value) if bits <= _MOST_BITS else f"an integer of {bits} bits"))
    if isinstance(value, float):
        return b"\x21" + DOUBLE(value)
    return delimited(1, utf8(f"<{type(value).__name__}>"))  # type: ignore[unreachable]
