"""The parts of the protobuf wire format that OTLP needs."""

from __future__ import annotations

from struct import Struct

MASK64 = 0xFFFF_FFFF_FFFF_FFFF
FIXED64 = Struct("<Q").pack
SFIXED64 = Struct("<q").pack
DOUBLE = Struct("<d").pack


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# Nearly every length of a message is below this, and a lookup is ten times faster than the loop.
_SHORT = tuple(_varint(value) for value in range(256))


def varint(value: int) -> bytes:
    """Return ``value`` (0 to 2**64-1) in base 128, least significant group first."""
    if value < 256:
        return _SHORT[value]
    if value < 0x20_0000:
        if value < 0x4000:
            return bytes((value & 0x7F | 0x80, value >> 7))
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    return _varint(value)


def delimited(number: int, payload: bytes) -> bytes:
    """Return field ``number`` (below 16) of wire type LEN: a message, a text or packed numbers."""
    return bytes((number << 3 | 2,)) + varint(len(payload)) + payload


def utf8(text: str) -> bytes:
    """Return ``text`` in UTF-8 with ``?`` for lone surrogates, which protobuf readers refuse."""
    return str.encode(text, "utf-8", "replace")


def double(value: float) -> float:
    """Return ``value`` as a float even when it is an int beyond the range of one."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
