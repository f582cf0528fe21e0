"""OTLP messages as agents send them, built with the official classes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from mystic_agent.contract import wire
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_SAID = (wire.FUNCTION, wire.STRATEGY, wire.DECISION, wire.REASON)
START = 1_700_000_000_000_000_000


def attributes(**values: str) -> list[KeyValue]:
    return [KeyValue(key=key.replace("__", "."), value=AnyValue(string_value=value)) for key, value in values.items()]


def resource(service: str, instance: str) -> list[KeyValue]:
    return attributes(service__name=service, service__instance__id=instance)


def duration(
    function: str, buckets: Mapping[int, int], *, start: int = START, time: int = START + 10**9, errors: int = 0
) -> tuple[str, ExponentialHistogramDataPoint, int]:
    """Calls by bucket: ``{10: 3}`` is three calls of 1.5 * 2**10 ns each."""
    low, high = min(buckets), max(buckets)
    point = ExponentialHistogramDataPoint(
        attributes=attributes(**{wire.FUNCTION: function}),
        start_time_unix_nano=start,
        time_unix_nano=time,
        count=sum(buckets.values()),
        sum=sum(count * 1.5 * 2**index for index, count in buckets.items()),
        min=1.5 * 2**low,
        max=1.5 * 2**high,
        scale=0,
    )
    point.positive.offset = low
    point.positive.bucket_counts.extend(buckets.get(index, 0) for index in range(low, high + 1))
    return function, point, errors


def metrics(
    *durations: tuple[str, ExponentialHistogramDataPoint, int],
    service: str = "shop",
    instance: str = "i1",
    decisions: Mapping[tuple[str, ...], int] | None = None,
    untimed: Mapping[str, int] | None = None,
    facts: Mapping[tuple[str, str], float] | None = None,
    temporality: int = CUMULATIVE,
) -> ExportMetricsServiceRequest:
    """``decisions`` by (function, strategy, decision) and maybe reason; ``facts`` by (metric, kind)."""
    message = ExportMetricsServiceRequest()
    group = message.resource_metrics.add()
    group.resource.attributes.extend(resource(service, instance))
    scope = group.scope_metrics.add()
    points = [point for _, point, _ in durations]
    histogram = ExponentialHistogram(data_points=points, aggregation_temporality=temporality)
    scope.metrics.append(Metric(name=wire.DURATION, unit="ns", exponential_histogram=histogram))
    errors = [
        _number(count, point.start_time_unix_nano, **{wire.FUNCTION: function})
        for function, point, count in durations
        if count
    ]
    scope.metrics.append(_sum(wire.ERRORS, errors, temporality))
    decided = [
        _number(count, START, **dict(zip(_SAID, said, strict=False))) for said, count in (decisions or {}).items()
    ]
    counted = [_number(count, START, **{wire.FUNCTION: function}) for function, count in (untimed or {}).items()]
    scope.metrics.append(_sum(wire.CALLS, counted, temporality))
    scope.metrics.append(_sum(wire.DECISIONS, decided, temporality))
    for (metric, kind), value in (facts or {}).items():
        point = NumberDataPoint(time_unix_nano=START, as_double=value, attributes=attributes(**{wire.KIND: kind}))
        scope.metrics.append(Metric(name=metric, gauge=Gauge(data_points=[point])))
    return message


def _number(value: int, start: int, **texts: str) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=attributes(**texts), start_time_unix_nano=start, time_unix_nano=start + 10**9, as_int=value
    )


def _sum(name: str, points: Sequence[NumberDataPoint], temporality: int) -> Metric:
    return Metric(name=name, sum=Sum(data_points=points, aggregation_temporality=temporality, is_monotonic=True))


def span(
    function: str,
    *,
    trace: bytes = b"",
    parent: bytes = b"",
    start: int = START,
    duration: int = 1_000_000,
    error: str = "",
) -> Span:
    found = Span(
        trace_id=trace or secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        parent_span_id=parent,
        name=function.replace(":", "."),
        start_time_unix_nano=start,
        end_time_unix_nano=start + duration,
        attributes=attributes(**{wire.FUNCTION: function, wire.CODE_FUNCTION: function.replace(":", ".")}),
    )
    if error:
        kind, _, text = error.partition(": ")
        found.status.code = Status.STATUS_CODE_ERROR
        event = found.events.add(name="exception", time_unix_nano=start)
        event.attributes.extend(attributes(exception__type=kind, exception__message=text))
    return found


def traces(*spans: Span, service: str = "shop", instance: str = "i1") -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.extend(resource(service, instance))
    group.scope_spans.add().spans.extend(spans)
    return message


def log(
    body: str = "",
    *,
    event: str = "",
    function: str = "",
    time: int = START,
    severity: int = 9,
    trace: bytes = b"",
    **more: str,
) -> LogRecord:
    """A log record; with a function as our agents send it."""
    found = LogRecord(time_unix_nano=time, severity_number=severity, event_name=event, trace_id=trace)
    if body:
        found.body.string_value = body
    if trace:
        found.span_id = secrets.token_bytes(8)
    texts = {wire.FUNCTION: function} if function else {}
    found.attributes.extend(attributes(**texts, **more))
    return found


def logs(*records: LogRecord, service: str = "shop", instance: str = "i1") -> ExportLogsServiceRequest:
    message = ExportLogsServiceRequest()
    group = message.resource_logs.add()
    group.resource.attributes.extend(resource(service, instance))
    group.scope_logs.add().log_records.extend(records)
    return message
