"""Finished calls as an ``ExportTraceServiceRequest``."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from mystic_agent.contract.wire import CODE_FUNCTION, FUNCTION
from mystic_agent.otlp.attributes import encode_attributes
from mystic_agent.otlp.protobuf import FIXED64, MASK64, delimited, utf8, varint
from mystic_agent.otlp.resource import wrap
from mystic_agent.records import SpanRecord

# The fields of known width in one go: trace_id (1), span_id (2), parent_span_id (4), start (7) and end (8).
_CHILD = Struct("<2s16s2s8s2s8scQcQ").pack
_ROOT = Struct("<2s16s2s8scQcQ").pack

_MOST_FUNCTIONS = 20_000
_constants: dict[str, bytes] = {}

_MOST_FAILURES = 1000
_LONGEST_MESSAGE = 200
_failures: dict[tuple[str, str], tuple[bytes, bytes]] = {}


def encode_spans(resource: bytes, spans: Sequence[SpanRecord]) -> bytes:
    """Return the request that holds ``spans`` in their order.

    Every span carries ``code.function.name`` and ``mystic.function`` before its own attributes, and is of kind
    INTERNAL. An error sets the status and adds an ``exception`` event at the end of the span. ``flags`` stays
    unset: a record does not know whether its parent is remote.
    """
    out: list[bytes] = []
    append = out.append
    for function, trace_id, span_id, parent_id, start_ns, end_ns, error, attributes in spans:
        constant = _constants.get(function) or _constant(function)
        start, end = start_ns & MASK64, end_ns & MASK64
        if parent_id:
            fixed = _CHILD(
                b"\x0a\x10", trace_id, b"\x12\x08", span_id, b"\x22\x08", parent_id, b"\x39", start, b"\x41", end
            )
        else:
            fixed = _ROOT(b"\x0a\x10", trace_id, b"\x12\x08", span_id, b"\x39", start, b"\x41", end)
        if attributes or error:
            rest = encode_attributes(9, attributes)
            if error:
                rest += _failure(error, end)
            append(b"\x12" + varint(len(fixed) + len(constant) + len(rest)))
            append(fixed)
            append(constant)
            append(rest)
        else:
            append(b"\x12" + varint(len(fixed) + len(constant)))
            append(fixed)
            append(constant)
    return wrap(resource, b"".join(out))


def _constant(function: str) -> bytes:
    """Return name, kind and the two attributes of ``function``'s spans, from now on from memory."""
    dotted = function.replace(":", ".", 1)
    made = (
        delimited(5, utf8(dotted)) + b"\x30\x01" + encode_attributes(9, ((CODE_FUNCTION, dotted), (FUNCTION, function)))
    )
    if len(_constants) >= _MOST_FUNCTIONS:
        _constants.clear()
    _constants[function] = made
    return made


def _failure(error: tuple[str, str], end_ns: int) -> bytes:
    """Return the event and the status; the same error tends to come again, so that all but its time is kept."""
    made = _failures.get(error)
    if made is None:
        kind, message = error
        details = encode_attributes(3, (("exception.type", kind), ("exception.message", message)))
        event = delimited(2, b"exception") + details
        status = delimited(15, delimited(2, utf8(f"{kind}: {message}")) + b"\x18\x02")
        made = (b"\x5a" + varint(9 + len(event)) + b"\x09", event + status)
        if len(_failures) >= _MOST_FAILURES:
            _failures.clear()
        if len(message) <= _LONGEST_MESSAGE:
            _failures[error] = made
    before, after = made
    return before + FIXED64(end_ns) + after
