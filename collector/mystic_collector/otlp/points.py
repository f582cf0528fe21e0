"""Metric requests → points: our functions' figures, agents' facts about themselves, and everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mystic_agent.contract import wire
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from mystic_collector.otlp.attributes import LONGEST_NAME, resource_of, to_dict, to_json
from mystic_collector.otlp.external import Externals
from mystic_collector.store.records import ERRORS, LARGEST, UNTIMED, CountPoint, Fact, FunctionPoint, Incoming, Point

_COUNTS = {wire.ERRORS: ERRORS, wire.CALLS: UNTIMED, wire.DECISIONS: None}
_OURS = (wire.DURATION, *_COUNTS, *wire.EXTERNAL)
_AGENT = "mystic.agent."
_LONGEST_REASON = 100
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_MOST_BUCKETS = 2000


_P = TypeVar("_P")


class _UnsoundError(ValueError):
    """A point that cannot be kept; the message says why."""


@dataclass(slots=True)
class _Taken:
    functions: list[FunctionPoint] = field(default_factory=list)
    counts: list[CountPoint] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    externals: Externals = field(default_factory=Externals)
    rejected: int = 0
    why: str = ""

    def each(self, points: Iterable[_P], read: Callable[[_P], None]) -> None:
        for point in points:
            try:
                read(point)
            except _UnsoundError as error:
                self.rejected += 1
                self.why = str(error)


def read_points(message: ExportMetricsServiceRequest) -> tuple[list[Incoming], int, str]:
    """Read a message; points that cannot be kept are rejected one by one.

    Returns:
        What was taken, how many points were rejected, and why the last of them was.
    """
    incoming = []
    rejected, why = 0, ""
    for group in message.resource_metrics:
        taken = _Taken()
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                _read_metric(metric, taken)
        rejected += taken.rejected
        why = taken.why or why
        one = Incoming(
            resource_of(group.resource),
            functions=taken.functions,
            counts=taken.counts,
            facts=taken.facts,
            points=taken.points,
            externals=taken.externals.points(),
        )
        if one.items:
            incoming.append(one)
    return incoming, rejected, why


def _read_metric(metric: Metric, taken: _Taken) -> None:
    shape = metric.WhichOneof("data")
    if shape is None:
        return
    data = getattr(metric, shape)
    delta = getattr(data, "aggregation_temporality", 0) == _DELTA
    if metric.name in _OURS and delta:
        taken.rejected += len(data.data_points)
        taken.why = f"{metric.name} must be cumulative; set the exporter's temporality preference to cumulative"
    elif metric.name == wire.DURATION and shape == "exponential_histogram":
        taken.each(data.data_points, lambda point: taken.functions.append(_exponential(point)))
    elif metric.name == wire.DURATION and shape == "histogram":
        taken.each(data.data_points, lambda point: taken.functions.append(_explicit(point)))
    elif metric.name in _COUNTS and shape == "sum":
        decision = _COUNTS[metric.name]
        taken.each(data.data_points, lambda point: taken.counts.append(_count(point, decision)))
    elif metric.name in wire.EXTERNAL and shape == "sum":
        taken.each(data.data_points, lambda point: _external(metric.name, point, taken.externals))
    elif metric.name.startswith(_AGENT) and shape in ("sum", "gauge"):
        taken.each(data.data_points, lambda point: taken.facts.append(_fact(metric.name, point)))
    else:
        read = _READERS[shape]
        detail = {"temporality": "delta" if delta else "cumulative"} if shape != "gauge" else {}
        taken.each(data.data_points, lambda point: taken.points.append(_point(metric, shape, point, read, detail)))


def _texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {one.key: one.value.string_value for one in attributes}


def _function(texts: dict[str, str]) -> str:
    function = texts.get(wire.FUNCTION, "")
    if not function:
        raise _UnsoundError(f"the attribute {wire.FUNCTION} is missing")
    return function[:LONGEST_NAME]


def _bounded(*numbers: int) -> None:
    if any(not 0 <= number <= LARGEST for number in numbers):
        raise _UnsoundError("times and counts must be from 0 to 2**63 - 1")


def _nanoseconds(value: float) -> int:
    if not 0 <= value <= LARGEST:  # also refuses NaN
        raise _UnsoundError(f"a duration of {value!r} ns is impossible")
    return min(round(value), LARGEST)


def _exponential(point: ExponentialHistogramDataPoint) -> FunctionPoint:
    _bounded(point.start_time_unix_nano, point.time_unix_nano, point.count)
    offset, counts = rescale(point.scale, point.positive.offset, point.positive.bucket_counts)
    return FunctionPoint(
        function=_function(_texts(point.attributes)),
        start_ns=point.start_time_unix_nano,
        time_ns=point.time_unix_nano,
        calls=point.count,
        total_ns=_nanoseconds(point.sum),
        min_ns=_nanoseconds(point.min),
        max_ns=_nanoseconds(point.max),
        zero=point.zero_count,
        buckets=(offset, counts),
    )


def rescale(scale: int, offset: int, counts: Iterable[int]) -> tuple[int, list[int]]:
    """Return the buckets of an exponential histogram at scale 0, as (offset, counts).

    A finer scale loses nothing but resolution; a bucket of a coarser one goes to the last power of two it spans.

    Raises:
        ValueError: for a scale outside -10 to 20, an index outside 0 to 63 at scale 0, or too many buckets.
    """
    if not -10 <= scale <= 20:
        raise _UnsoundError(f"scale {scale} is not from -10 to 20")
    kept: dict[int, int] = {}
    for position, count in enumerate(counts):
        if position >= _MOST_BUCKETS:
            raise _UnsoundError(f"more than {_MOST_BUCKETS} buckets")
        if count:
            index = offset + position
            index = index >> scale if scale >= 0 else ((index + 1) << -scale) - 1
            index = min(max(index, 0), 62)
            kept[index] = kept.get(index, 0) + count
    if not kept:
        return 0, []
    low, high = min(kept), max(kept)
    found = [kept.get(index, 0) for index in range(low, high + 1)]
    _bounded(*found)
    return low, found


def _explicit(point: HistogramDataPoint) -> FunctionPoint:
    """Read a histogram with explicit bounds in ns, as other SDK aggregations send it."""
    _bounded(point.start_time_unix_nano, point.time_unix_nano, point.count)
    bounds = [*point.explicit_bounds, point.max or (point.explicit_bounds[-1] if point.explicit_bounds else 1.0)]
    counts = [0] * 63
    for bound, count in zip(bounds, point.bucket_counts, strict=False):
        nanoseconds = _nanoseconds(bound)
        counts[min(max(nanoseconds - 1, 0).bit_length() - 1 if nanoseconds > 1 else 0, 62)] += count
    _bounded(*counts)
    return FunctionPoint(
        function=_function(_texts(point.attributes)),
        start_ns=point.start_time_unix_nano,
        time_ns=point.time_unix_nano,
        calls=point.count,
        total_ns=_nanoseconds(point.sum),
        min_ns=_nanoseconds(point.min),
        max_ns=_nanoseconds(point.max),
        zero=0,
        buckets=(0, counts),
    )


def _number(point: NumberDataPoint) -> float:
    return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double


def _count(point: NumberDataPoint, decision: str | None) -> CountPoint:
    """Read a count; ``decision`` is None when the point's attributes say which it is."""
    value = _number(point)
    if not 0 <= value <= LARGEST:
        raise _UnsoundError(f"a count of {value!r} is impossible")
    _bounded(point.start_time_unix_nano, point.time_unix_nano)
    texts = _texts(point.attributes)
    strategy, found, reason = (texts.get(name, "") for name in (wire.STRATEGY, wire.DECISION, wire.REASON))
    if decision is not None:
        strategy, found, reason = "", decision, ""
    elif not strategy:
        raise _UnsoundError(f"the attribute {wire.STRATEGY} is missing")
    labels = (strategy[:_LONGEST_REASON], found[:_LONGEST_REASON], reason[:_LONGEST_REASON])
    times = (point.start_time_unix_nano, point.time_unix_nano)
    return CountPoint(_function(texts), *times, int(value), *labels)


def _external(metric: str, point: NumberDataPoint, found: Externals) -> None:
    value = _number(point)
    if not 0 <= value <= LARGEST:
        raise _UnsoundError(f"{metric} of {value!r} is impossible")
    _bounded(point.time_unix_nano)
    found.take(metric, _texts(point.attributes), point.time_unix_nano, int(value))


def _fact(metric: str, point: NumberDataPoint) -> Fact:
    value = _number(point)
    if not math.isfinite(value):
        raise _UnsoundError(f"{metric} is {value!r}")
    _bounded(point.time_unix_nano)
    return Fact(metric[:LONGEST_NAME], _texts(point.attributes).get(wire.KIND, "")[:100], point.time_unix_nano, value)


def _point(
    metric: Metric, shape: str, point: Any, read: Callable[[Any], tuple[float, dict[str, Any]]], detail: dict[str, Any]
) -> Point:
    _bounded(point.time_unix_nano)
    value, further = read(point)
    return Point(
        time_ns=point.time_unix_nano,
        metric=metric.name[:LONGEST_NAME],
        shape=shape,
        unit=metric.unit[:100],
        attributes=to_json(to_dict(point.attributes)),
        value=float(value),
        detail=to_json({**detail, **further}),
    )


def _histogram_detail(point: Any) -> tuple[float, dict[str, Any]]:
    extremes = {name: getattr(point, name) for name in ("min", "max") if point.HasField(name)}
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    return point.sum, {"count": point.count, "bounds": bounds, "counts": counts, **extremes}


def _exponential_detail(point: Any) -> tuple[float, dict[str, Any]]:
    extremes = {name: getattr(point, name) for name in ("min", "max") if point.HasField(name)}
    halves = {
        name: {"offset": half.offset, "counts": list(half.bucket_counts)}
        for name, half in (("positive", point.positive), ("negative", point.negative))
    }
    return point.sum, {"count": point.count, "scale": point.scale, "zero": point.zero_count, **halves, **extremes}


def _summary_detail(point: Any) -> tuple[float, dict[str, Any]]:
    return point.sum, {"count": point.count, "quantiles": [[one.quantile, one.value] for one in point.quantile_values]}


_READERS: dict[str, Callable[[Any], tuple[float, dict[str, Any]]]] = {
    "gauge": lambda point: (_number(point), {}),
    "sum": lambda point: (_number(point), {}),
    "histogram": _histogram_detail,
    "exponential_histogram": _exponential_detail,
    "summary": _summary_detail,
}
