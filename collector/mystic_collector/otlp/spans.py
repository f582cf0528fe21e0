"""Trace requests, kept as OTLP: checked and surveyed when they arrive, read in full when somebody looks.

Most spans are never looked at. A survey costs about a tenth of a full reading, and the bytes of a request
need no encoding of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from operator import sub

from mystic_agent.contract.wire import FUNCTION
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from mystic_collector.otlp.attributes import LONGEST_NAME, resource_of, to_dict, to_json
from mystic_collector.store.records import LARGEST, Incoming, SpanRow, SpanSegment

_LONGEST_ERROR = 2000
_ERROR = Status.STATUS_CODE_ERROR
_WHY = "trace_id must have 16 bytes and span_id 8, not all zero, and times must fit 63 bits"
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)

Decoded = tuple[list[Incoming], int, str]
"""(what was taken, how many spans were rejected, why)."""


def read_spans(message: ExportTraceServiceRequest) -> Decoded:
    """Survey a message; spans with impossible ids or times are rejected one by one."""
    taken: list[Incoming] = []
    rejected = 0
    for group in message.resource_spans:
        segment, unsound = survey(group)
        if unsound:
            rejected += unsound
            segment, _ = survey(_without_unsound(group))
        if segment.size:
            taken.append(Incoming(resource_of(group.resource), spans=segment))
    return taken, rejected, _WHY if rejected else ""


def survey(group: ResourceSpans) -> tuple[SpanSegment, int]:
    """Return the spans of one resource as they are kept, and how many of them are unsound."""
    # Column by column: this runs for every span that comes in, and a comprehension reads a field in half the time.
    spans = [span for scope in group.scope_spans for span in scope.spans]
    traces = {span.trace_id for span in spans}
    span_ids = [span.span_id for span in spans]
    starts = [span.start_time_unix_nano for span in spans]
    ends = [span.end_time_unix_nano for span in spans]
    sound = (
        _NO_TRACE not in traces
        and all(len(one) == 16 for one in traces)
        and _NO_SPAN not in span_ids
        and set(map(len, span_ids)) <= {8}
        and max(starts, default=0) <= LARGEST
        and max(ends, default=0) <= LARGEST
    )
    segment = SpanSegment(
        body=group.SerializeToString() if sound else b"",
        size=len(spans),
        traces=traces,
        names={name[:LONGEST_NAME] for name in {span.name for span in spans}},
        errors=[span.status.code for span in spans].count(_ERROR),
        longest_ns=max(0, max(map(sub, ends, starts), default=0)),
    )
    return segment, 0 if sound else sum(not _sound(span) for span in spans)


def _without_unsound(group: ResourceSpans) -> ResourceSpans:
    kept = ResourceSpans(resource=group.resource)
    scope = kept.scope_spans.add()
    for found in group.scope_spans:
        scope.spans.extend(span for span in found.spans if _sound(span))
    return kept


def _sound(span: Span) -> bool:
    ids = len(span.trace_id) == 16 and any(span.trace_id) and len(span.span_id) == 8 and any(span.span_id)
    return ids and span.start_time_unix_nano <= LARGEST and span.end_time_unix_nano <= LARGEST


def spans_in(body: bytes) -> Iterator[Span]:
    """Yield the spans of a segment's body."""
    for scope in ResourceSpans.FromString(body).scope_spans:
        yield from scope.spans


def function_of(span: Span) -> str:
    """Return ``module:qualname`` of a span of ours, or empty."""
    for one in span.attributes:
        if one.key == FUNCTION:
            return one.value.string_value[:LONGEST_NAME]
    return ""


def is_error(span: Span) -> bool:
    """True when the call ended in an error."""
    return span.status.code == _ERROR


def row_of(span: Span) -> SpanRow:
    """Return a span in full."""
    error, events = _events(span.events, span.status.code, span.status.message)
    [row] = brief_rows((span,))
    return row._replace(error=error, attributes=_attributes(span.attributes), events=events)


def brief_rows(spans: Sequence[Span]) -> list[SpanRow]:
    """Return spans without attributes, events and error; column by column, as in :func:`survey`."""
    return list(
        map(
            SpanRow,
            [span.trace_id for span in spans],
            [span.span_id for span in spans],
            [parent if len(parent) == 8 else b"" for parent in [span.parent_span_id for span in spans]],
            [function_of(span) for span in spans],
            [span.name[:LONGEST_NAME] for span in spans],
            [span.kind for span in spans],
            [span.start_time_unix_nano for span in spans],
            [span.end_time_unix_nano for span in spans],
            [span.status.code for span in spans],
            repeat(""),
            repeat("{}"),
            repeat(""),
        )
    )


def _attributes(attributes: Iterable[KeyValue]) -> str:
    return to_json(to_dict(attributes))


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
