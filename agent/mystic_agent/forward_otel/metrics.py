"""Cumulative figures as metrics of the SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mystic_agent import __version__
from mystic_agent.contract import wire
from mystic_agent.otlp.metrics import UNITS
from mystic_agent.records import Count, Reading

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData, NumberDataPoint
    from opentelemetry.sdk.resources import Resource


def metrics_data(
    readings: Sequence[Reading], counts: Sequence[Count], resource: Resource, *, start_ns: int, now_ns: int
) -> MetricsData | None:
    """Return cumulative figures as the SDK's own type, or None when there are none.

    The histogram is that of :func:`mystic_agent.otlp.encode_metrics`, with the same meaning of its buckets.

    Args:
        start_ns, now_ns: Unix nanoseconds.
    """
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        ExponentialHistogram,
        Gauge,
        Metric,
        MetricsData,
        NumberDataPoint,
        ResourceMetrics,
        ScopeMetrics,
        Sum,
    )
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    cumulative = AggregationTemporality.CUMULATIVE
    metrics: list[Metric] = []
    called = [one for one in readings if any(one.buckets)]
    if called:
        points = [_histogram_point(one, start_ns, now_ns) for one in called]
        metrics.append(Metric(wire.DURATION, "", UNITS[wire.DURATION], ExponentialHistogram(points, cumulative)))
    failed = [Count(wire.ERRORS, one.errors, ((wire.FUNCTION, one.function),)) for one in called if one.errors]
    groups: dict[tuple[str, bool], list[NumberDataPoint]] = {}
    for name, value, attributes, gauge in (*failed, *counts):
        point = NumberDataPoint(dict(attributes), start_ns, now_ns, value)
        groups.setdefault((name, gauge), []).append(point)
    for (name, gauge), numbers in groups.items():
        data = Gauge(numbers) if gauge else Sum(numbers, cumulative, is_monotonic=True)
        metrics.append(Metric(name, "", UNITS.get(name, ""), data))
    if not metrics:
        return None
    scope = ScopeMetrics(InstrumentationScope(wire.SCOPE, __version__), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _histogram_point(reading: Reading, start_ns: int, now_ns: int) -> Any:
    from opentelemetry.sdk.metrics.export import Buckets, ExponentialHistogramDataPoint

    filled = [b for b in range(1, len(reading.buckets)) if reading.buckets[b]]
    low, high = (filled[0], filled[-1]) if filled else (1, 0)
    return ExponentialHistogramDataPoint(
        attributes={wire.FUNCTION: reading.function},
        start_time_unix_nano=start_ns,
        time_unix_nano=now_ns,
        count=sum(reading.buckets),
        sum=reading.total_ns,
        scale=0,
        zero_count=reading.buckets[0],
        positive=Buckets(low - 1, list(reading.buckets[low : high + 1])),
        negative=Buckets(0, []),
        flags=0,
        min=reading.min_ns,
        max=reading.max_ns,
    )
