"""Attributes as OTLP ``KeyValue`` messages."""

from __future__ import annotations

from collections.abc import Iterable

from mystic_agent.otlp.protobuf import DOUBLE, MASK64, delimited, utf8, varint
from mystic_agent.records import Attribute

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_MOST_BITS = 4096


def encode_attributes(number: int, attributes: Iterable[Attribute]) -> bytes:
    """Return ``attributes`` as repeated field ``number`` (below 16) of some message, in their order."""
    return b"".join([delimited(number, encode_attribute(key, value)) for key, value in attributes])


def encode_attribute(key: str, value: str | int | float | bool) -> bytes:
    """Return one ``KeyValue``.

    An int beyond 64 bits is sent as its decimal text, since OTLP has no wider number. A value of a type
    that records do not allow is sent as the name of its type: calling its ``repr`` would run foreign code.
    """
    return delimited(1, utf8(key)) + delimited(2, _value(value))


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
