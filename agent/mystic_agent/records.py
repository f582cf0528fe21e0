"""What leaves a process, before it is encoded: spans, readings of functions, plain sums, and events.

All are frozen values made by ``observe`` and read by ``otlp``; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

from mystic_agent.contract.named import NamedTuple

Attribute = tuple[str, "str | int | float | bool"]


class SpanRecord(NamedTuple):
    """One finished, sampled call.

    Attributes:
        function: ``module:qualname``; the span's name is its ``module.qualname`` form.
        trace_id: 16 bytes.
        span_id: 8 bytes.
        parent_id: 8 bytes, or empty for a root.
        start_ns, end_ns: Unix nanoseconds.
        error: (exception type, message already redacted and bounded), or None.
        attributes: further attributes, already redacted and bounded.
    """

    function: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    error: tuple[str, str] | None = None
    attributes: tuple[Attribute, ...] = ()


class Reading(NamedTuple):
    """The cumulative figures of one function since the start of the process.

    Attributes:
        function: ``module:qualname``.
        buckets: ``buckets[b]`` counts calls whose duration in ns has ``int.bit_length() == b``,
            that is 2**(b-1) <= ns < 2**b; 64 entries.
        total_ns: exact sum of the durations.
        min_ns, max_ns: exact extremes; 0 when there was no call.
        errors: calls that ended in an Exception.
    """

    function: str
    buckets: tuple[int, ...]
    total_ns: int
    min_ns: int
    max_ns: int
    errors: int = 0


class Count(NamedTuple):
    """One point of a cumulative, monotonic sum (or, with ``gauge``, of a gauge)."""

    metric: str
    value: int | float
    attributes: tuple[Attribute, ...] = ()
    gauge: bool = False


class Event(NamedTuple):
    """Something that happened once; an OTLP log record with an event name.

    Attributes:
        name: e.g. ``mystic.snapshot``.
        time_ns: Unix nanoseconds.
        body: text, already redacted and bounded.
        severity: OpenTelemetry's severity number, 1 to 24.
        trace_id: 16 bytes, or empty outside of a trace.
        span_id: 8 bytes, or empty.
        attributes: already redacted and bounded.
    """

    name: str
    time_ns: int
    body: str = ""
    severity: int = 9
    trace_id: bytes = b""
    span_id: bytes = b""
    attributes: tuple[Attribute, ...] = ()


class Batch(NamedTuple):
    """One collection: everything the process has to say at one moment."""

    spans: Sequence[SpanRecord] = ()
    readings: Sequence[Reading] = ()
    counts: Sequence[Count] = ()
    events: Sequence[Event] = ()
