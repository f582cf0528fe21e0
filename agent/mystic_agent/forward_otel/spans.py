"""Finished calls as spans of the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mystic_agent import __version__
from mystic_agent.contract import wire
from mystic_agent.records import SpanRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

_SAMPLED = 1


def readable(record: SpanRecord, resource: Resource | None) -> ReadableSpan:
    """Return ``record`` as the SDK's own type, sampled, with the ids and times it had."""
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    trace_id = int.from_bytes(record.trace_id)
    dotted = record.function.replace(":", ".", 1)
    events: list[Event] = []
    status = Status()
    if record.error is not None:
        kind, message = record.error
        details = {"exception.type": kind, "exception.message": message}
        events.append(Event("exception", details, record.end_ns))
        status = Status(StatusCode.ERROR, f"{kind}: {message}")

    def context(span_id: bytes) -> SpanContext:
        return SpanContext(trace_id, int.from_bytes(span_id), is_remote=False, trace_flags=TraceFlags(_SAMPLED))

    return ReadableSpan(
        dotted,
        context=context(record.span_id),
        parent=context(record.parent_id) if record.parent_id else None,
        resource=resource,
        attributes={wire.CODE_FUNCTION: dotted, wire.FUNCTION: record.function, **dict(record.attributes)},
        events=events,
        status=status,
        start_time=record.start_ns,
        end_time=record.end_ns,
        instrumentation_scope=InstrumentationScope(wire.SCOPE, __version__),
    )
