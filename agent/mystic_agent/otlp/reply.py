"""What a receiver answers: the ``partial_success`` of an OTLP response."""

from __future__ import annotations

from mystic_agent.contract.named import NamedTuple


class Rejection(NamedTuple):
    """What the receiver did not take of a request it otherwise accepted.

    Attributes:
        items: spans, data points or log records it rejected; 0 when it took all.
        reason: its message, at most 500 characters; foreign text.
    """

    items: int
    reason: str


NOTHING = Rejection(0, "")


def read_rejection(body: bytes) -> Rejection:
    """Read an ``ExportTraceServiceResponse``, ``ExportMetricsServiceResponse`` or ``ExportLogsServiceResponse``.

    All are {1: partial_success{1: rejected int64, 2: error_message}}. Whatever cannot be read counts as
    accepted: the status of the reply has already said so.
    """
    outer = _fields(body)
    inner = _fields(outer[1]) if outer and isinstance(outer.get(1), bytes) else None
    if not inner:
        return NOTHING
    items, reason = inner.get(1, 0), inner.get(2, b"")
    text = reason.decode("utf-8", "replace")[:500] if isinstance(reason, bytes) else ""
    return Rejection(items if isinstance(items, int) and 0 < items < 2**63 else 0, text)


def _fields(message: object) -> dict[int, int | bytes] | None:
    """Return the last value of each varint and LEN field, or None when ``message`` is malformed."""
    if not isinstance(message, bytes):
        return None
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        if key & 7 == 0:
            found[key >> 3], at = _read_varint(message, at)
        elif key & 7 == 2:
            length, at = _read_varint(message, at)
            found[key >> 3] = message[at : at + length]
            at += length
        else:
            at += {1: 8, 5: 4}.get(key & 7, len(message) + 1)
    return found if at == len(message) else None


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, len(message) + 1
