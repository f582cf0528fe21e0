"""Several byte strings as one: each behind its length, four bytes in network order."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from mystic_agent.contract.errors import Invalid

_LENGTH = struct.Struct(">I")


def pack(parts: Iterable[bytes]) -> bytes:
    """Return ``parts`` as one."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def unpack(data: bytes, most: int) -> list[bytes]:
    """Return the parts of ``data``.

    Raises:
        Invalid: when it is cut, or has more than ``most`` parts.
    """
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        if len(parts) == most:
            raise Invalid("body", f"{len(data)} bytes", f"give at most {most} parts")
        end = at + _LENGTH.size
        if end <= len(data):
            (length,) = _LENGTH.unpack_from(data, at)
            at, end = end, end + length
        if end > len(data):
            raise Invalid("body", f"{len(data)} bytes", "give whole parts, each behind its length in four bytes")
        parts.append(data[at:end])
        at = end
    return parts
