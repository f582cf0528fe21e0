"""Trace requests → spans, twice: a plain reading of the message, and a quick one of its bytes.

The quick reading understands what every exporter writes and gives up (:class:`UnusualError`) on anything else;
then the plain one decides. Both give the same rows. The bytes have been checked by protobuf before, so the
quick reading needs no bounds checks of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mystic_collector.ingest.attributes import LONGEST_NAME, Memo, Pair, pair_of, resource_of, to_dict, to_json
from mystic_collector.ingest.refused import RefusedError
from mystic_collector.store.records import LARGEST, Incoming, SpanRow

_LONGEST_ERROR = 2000
_ERROR = 2
_fixed64 = struct.Struct("<Q").unpack_from

Decoded = tuple[list[Incoming], int, str]
"""(what was taken, how many spans were rejected, why)."""


class UnusualError(Exception):
    """The bytes are valid and not written the usual way."""


def decode_spans(body: bytes, memo: Memo) -> Decoded:
    """Read an ExportTraceServiceRequest in protobuf.

    Raises:
        RefusedError: 400 when it is not one.
    """
    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise RefusedError(400, f"the body is not an ExportTraceServiceRequest ({error})") from error
    try:
        return scan(body, memo), 0, ""
    except UnusualError:
        return walk(message)


def walk(message: ExportTraceServiceRequest) -> Decoded:
    """Read the spans of a parsed message; spans with impossible ids or times are rejected one by one."""
    taken: list[Incoming] = []
    rejected = 0
    for group in message.resource_spans:
        spans = [span for scope in group.scope_spans for span in scope.spans]
        sound = [_row(span) for span in spans if _sound(span)]
        rejected += len(spans) - len(sound)
        if sound:
            taken.append(Incoming(resource_of(group.resource), spans=sound))
    why = "trace_id must have 16 bytes and span_id 8, not all zero, and times must fit 63 bits" if rejected else ""
    return taken, rejected, why


def _sound(span: Span) -> bool:
    ids = len(span.trace_id) == 16 and any(span.trace_id) and len(span.span_id) == 8 and any(span.span_id)
    times = span.start_time_unix_nano <= LARGEST and span.end_time_unix_nano <= LARGEST
    return ids and times and len(span.parent_span_id) in (0, 8)


def _row(span: Span) -> SpanRow:
    function, attributes = _join([pair_of(one) for one in span.attributes])
    error, events = _events(span.events, span.status.code, span.status.message)
    return SpanRow(
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        function,
        span.name[:LONGEST_NAME],
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code,
        error,
        attributes,
        events,
    )


def _join(pairs: Iterable[Pair]) -> tuple[str, str]:
    function = ""
    texts = []
    for pair in pairs:
        if pair.function:
            function = pair.function
        else:
            texts.append(pair.json)
    return function, "{" + ",".join(texts) + "}"


def _events(events: Sequence[Span.Event], status: int, message: str) -> tuple[str, str]:
    """Return (text of the error, events as JSON)."""
    listed = [
        {"name": one.name, "time_ns": one.time_unix_nano, "attributes": to_dict(one.attributes)} for one in events
    ]
    error = message if status == _ERROR else ""
    if status == _ERROR and not error:
        raised = [one["attributes"] for one in listed if one["name"] == "exception"]
        if raised and isinstance(raised[-1], dict):
            kind, text = raised[-1].get("exception.type", ""), raised[-1].get("exception.message", "")
            error = f"{kind}: {text}" if text else str(kind)
    return error[:_LONGEST_ERROR], to_json(listed) if listed else ""


def scan(body: bytes, memo: Memo) -> list[Incoming]:
    """Read the spans of a valid message from its bytes.

    Raises:
        UnusualError: when something is written in a way this reading does not know.
    """
    taken = []
    at, end = 0, len(body)
    while at < end:
        if body[at] != 0x0A:
            raise UnusualError
        size, at = _varint(body, at + 1)
        incoming = _scan_resource(body, at, at + size, memo)
        at += size
        if incoming.spans:
            taken.append(incoming)
    return taken


def _scan_resource(body: bytes, at: int, end: int, memo: Memo) -> Incoming:
    spans: list[SpanRow] = []
    resource = None
    while at < end:
        tag = body[at]
        size, at = _varint(body, at + 1)
        if tag == 0x12:
            _scan_scope(body, at, at + size, memo, spans)
        elif tag == 0x0A and resource is None:
            resource = memo.resource(body[at : at + size])
        elif tag != 0x1A:
            raise UnusualError
        at += size
    return Incoming(resource or memo.resource(b""), spans=spans)


def _scan_scope(body: bytes, at: int, end: int, memo: Memo, spans: list[SpanRow]) -> None:
    while at < end:
        tag = body[at]
        size, at = _varint(body, at + 1)
        if tag == 0x12:
            spans.append(_scan_span(body, at, at + size, memo))
        elif tag not in (0x0A, 0x1A):
            raise UnusualError
        at += size


def _varint(body: bytes, at: int) -> tuple[int, int]:
    byte = body[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = body[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7


def _scan_span(body: bytes, at: int, end: int, memo: Memo) -> SpanRow:
    trace_id = span_id = parent_id = b""
    name = function = error = events = ""
    kind = start = finish = status = 0
    status_bytes = b""
    event_bytes: list[bytes] = []
    texts: list[str] = []
    pairs, names = memo.pairs.get, memo.names.get
    while at < end:
        tag = body[at]
        size = body[at + 1]
        at += 2
        if tag == 0x4A:  # attributes
            if size > 127:
                size, at = _varint(body, at - 1)
            encoded = body[at : at + size]
            at += size
            pair = pairs(encoded) or memo.pair(encoded)
            if pair[1]:
                function = pair[1]
            else:
                texts.append(pair[0])
        elif tag == 0x39:  # start_time_unix_nano
            start = _fixed64(body, at - 1)[0]
            at += 7
        elif tag == 0x41:  # end_time_unix_nano
            finish = _fixed64(body, at - 1)[0]
            at += 7
        elif tag == 0x0A and size == 16:
            trace_id = body[at : at + 16]
            at += 16
        elif tag == 0x12 and size == 8:
            span_id = body[at : at + 8]
            at += 8
        elif tag == 0x22 and size in (0, 8):
            parent_id = body[at : at + size]
            at += size
        elif tag == 0x2A:  # name
            if size > 127:
                size, at = _varint(body, at - 1)
            encoded = body[at : at + size]
            at += size
            name = names(encoded) or memo.name(encoded)
        elif tag == 0x30 and size < 128:
            kind = size
        elif tag == 0x85 and size == 0x01:  # flags, fixed32
            at += 4
        elif tag == 0x7A and size < 128 and not status_bytes:
            status_bytes = body[at : at + size]
            at += size
        elif tag in (0x50, 0x60, 0x70):  # dropped counts
            size, at = _varint(body, at - 1)
        elif tag in (0x1A, 0x5A, 0x6A):  # trace_state, events, links
            if size > 127:
                size, at = _varint(body, at - 1)
            if tag == 0x5A:
                event_bytes.append(body[at : at + size])
            at += size
        else:
            raise UnusualError
    if start | finish > LARGEST or not trace_id.strip(b"\0") or not span_id.strip(b"\0"):
        raise UnusualError
    if status_bytes or event_bytes:
        parsed = Status.FromString(status_bytes)
        status = parsed.code
        error, events = _events([Span.Event.FromString(one) for one in event_bytes], status, parsed.message)
    return SpanRow(
        trace_id, span_id, parent_id, function, name, kind, start, finish, status, error,
        "{" + ",".join(texts) + "}", events,
    )  # fmt: skip
