"""Events as an ``ExportLogsServiceRequest``."""

from __future__ import annotations

from collections.abc import Sequence

from mystic_agent.otlp.attributes import encode_attributes
from mystic_agent.otlp.protobuf import FIXED64, MASK64, delimited, utf8, varint
from mystic_agent.otlp.resource import wrap
from mystic_agent.records import Event

_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_HIGHEST_SEVERITY = 24


def encode_logs(resource: bytes, events: Sequence[Event]) -> bytes:
    """Return the request that holds ``events`` in their order, each a log record with an event name.

    The time observed is the time it happened. The level's name follows from its number.
    """
    return wrap(resource, b"".join([delimited(2, _record(one)) for one in events]))


def level(severity: int) -> str:
    """Return the name that OpenTelemetry gives to a severity number from 1 to 24."""
    return _LEVELS[(severity - 1) // 4]


def _record(event: Event) -> bytes:
    time = FIXED64(event.time_ns & MASK64)
    severity = min(max(event.severity, 0), _HIGHEST_SEVERITY)
    parts = [b"\x09", time, b"\x59", time]
    if severity:
        parts += [b"\x10", varint(severity), delimited(3, utf8(level(severity)))]
    if event.body:
        parts.append(delimited(5, delimited(1, utf8(event.body))))
    parts.append(encode_attributes(6, event.attributes))
    if event.trace_id:
        parts += [delimited(9, event.trace_id), delimited(10, event.span_id)]
    parts.append(delimited(12, utf8(event.name)))
    return b"".join(parts)
