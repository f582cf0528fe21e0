"""Events as log records of the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mystic_agent import __version__
from mystic_agent.contract import wire
from mystic_agent.otlp.logs import level
from mystic_agent.records import Event

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.resources import Resource

_SAMPLED = 1


def emitted(event: Event, resource: Resource | None) -> ReadWriteLogRecord:
    """Return ``event`` as the SDK's own type, with the ids and the time it had."""
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    ids = int.from_bytes(event.trace_id), int.from_bytes(event.span_id)
    span = SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(_SAMPLED if event.trace_id else 0))
    record = LogRecord(
        timestamp=event.time_ns,
        observed_timestamp=event.time_ns,
        context=set_span_in_context(NonRecordingSpan(span)),
        severity_text=level(event.severity),
        severity_number=SeverityNumber(event.severity),
        body=event.body or None,
        attributes=dict(event.attributes),
        event_name=event.name,
    )
    return ReadWriteLogRecord(record, resource, InstrumentationScope(wire.SCOPE, __version__))
