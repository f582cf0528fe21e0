"""Metrics on the wire, read back with the official OpenTelemetry messages."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st
from mystic_agent.contract import wire
from mystic_agent.otlp import encode_metrics, encode_resource, read_rejection
from mystic_agent.records import Count, Reading
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
START, NOW = 1_700_000_000_000_000_000, 1_700_000_001_000_000_000


def reading_of(durations: list[int], function: str = "shop:buy", errors: int = 0) -> Reading:
    buckets = [0] * 64
    for ns in durations:
        buckets[ns.bit_length()] += 1
    low, high = (min(durations), max(durations)) if durations else (0, 0)
    return Reading(function, tuple(buckets), sum(durations), low, high, errors)


def metrics_of(body: bytes) -> dict[str, Metric]:
    [resource_metrics] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    [scope_metrics] = resource_metrics.scope_metrics
    assert scope_metrics.scope.name == "mystic_agent"
    return {metric.name: metric for metric in scope_metrics.metrics}


def encoded(*readings: Reading, counts: tuple[Count, ...] = ()) -> dict[str, Metric]:
    return metrics_of(encode_metrics(b"", readings, counts, start_ns=START, now_ns=NOW))


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=30))
@example([0])
@example([0, 0, 1])
@example([1])
@example([2**63 - 1])
@example([300] * 200)
def test_every_call_is_in_exactly_one_bucket_of_the_official_histogram(durations: list[int]) -> None:
    metric = encoded(reading_of(durations))[wire.DURATION]

    assert metric.unit == "ns"
    histogram = metric.exponential_histogram
    assert histogram.aggregation_temporality == CUMULATIVE
    [point] = histogram.data_points
    assert [(pair.key, pair.value.string_value) for pair in point.attributes] == [("mystic.function", "shop:buy")]
    assert (point.start_time_unix_nano, point.time_unix_nano, point.scale) == (START, NOW, 0)
    assert (point.count, point.zero_count) == (len(durations), durations.count(0))
    assert (point.sum, point.min, point.max) == (float(sum(durations)), float(min(durations)), float(max(durations)))
    counts = list(point.positive.bucket_counts)
    assert sum(counts) + point.zero_count == point.count
    if counts:
        assert counts[0] > 0 < counts[-1], "only the spanned range is sent"
    for i, count in enumerate(counts):
        index = point.positive.offset + i
        assert count == sum(2**index <= ns < 2 ** (index + 1) for ns in durations)


def test_only_a_power_of_two_stands_one_bucket_higher_than_the_definition_says() -> None:
    differing = []
    for ns in range(1, 5000):
        [point] = encoded(reading_of([ns]))[wire.DURATION].exponential_histogram.data_points
        if point.positive.offset != math.ceil(math.log2(ns)) - 1:
            differing.append(ns)

    assert differing == [2**i for i in range(13)]


def test_figures_read_in_the_middle_of_a_call_still_count_every_bucket() -> None:
    torn = reading_of([5, 900])._replace(min_ns=500, max_ns=600)

    [point] = encoded(torn)[wire.DURATION].exponential_histogram.data_points

    assert sum(point.positive.bucket_counts) == point.count == 2


def test_errors_are_a_monotonic_sum_of_the_functions_that_failed() -> None:
    metrics = encoded(reading_of([5], "a:ok"), reading_of([5, 6], "a:bad", errors=2))

    data = metrics[wire.ERRORS].sum
    assert (data.aggregation_temporality, data.is_monotonic) == (CUMULATIVE, True)
    [point] = data.data_points
    assert [(pair.key, pair.value.string_value) for pair in point.attributes] == [("mystic.function", "a:bad")]
    assert (point.as_int, point.start_time_unix_nano, point.time_unix_nano) == (2, START, NOW)


def test_a_function_that_was_never_called_is_not_sent() -> None:
    assert encoded(reading_of([])) == {}


@given(
    st.one_of(st.integers(), st.integers(-(2**63), 2**63 - 1), st.floats()),
    st.booleans(),
    st.text(st.characters(), max_size=20),
)
def test_counts_arrive_as_sums_and_gauges_with_their_attributes(value: int | float, gauge: bool, text: str) -> None:
    metric = encoded(counts=(Count(wire.DECISIONS, value, (("mystic.decision", text), ("n", 3)), gauge),))[
        wire.DECISIONS
    ]

    assert metric.WhichOneof("data") == ("gauge" if gauge else "sum")
    if not gauge:
        assert (metric.sum.aggregation_temporality, metric.sum.is_monotonic) == (CUMULATIVE, True)
    [point] = metric.gauge.data_points if gauge else metric.sum.data_points
    assert [pair.key for pair in point.attributes] == ["mystic.decision", "n"]
    assert point.attributes[1].value.int_value == 3
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        assert point.as_int == value
    elif isinstance(value, float):
        assert point.as_double == value or math.isnan(value)
    else:
        assert point.as_double == value or math.isinf(point.as_double) or math.isclose(point.as_double, value)


def test_points_of_one_metric_share_one_message() -> None:
    counts = (Count(wire.DECISIONS, 1), Count(wire.OVERHEAD, 0.5, gauge=True), Count(wire.DECISIONS, 2))

    metrics = encoded(counts=counts)

    assert [point.as_int for point in metrics[wire.DECISIONS].sum.data_points] == [1, 2]
    assert [point.as_double for point in metrics[wire.OVERHEAD].gauge.data_points] == [0.5]


def test_the_resource_names_the_process() -> None:
    resource = encode_resource((("service.name", "shop"), ("process.pid", 7)))

    body = encode_metrics(resource, [reading_of([1])], (), start_ns=START, now_ns=NOW)

    [resource_metrics] = ExportMetricsServiceRequest.FromString(body).resource_metrics
    attributes = {pair.key: pair.value for pair in resource_metrics.resource.attributes}
    assert attributes["service.name"].string_value == "shop"
    assert attributes["process.pid"].int_value == 7


def test_a_partial_success_says_how_much_was_rejected_and_why() -> None:
    reply = ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(rejected_data_points=300, error_message="too many names")
    )

    assert read_rejection(reply.SerializeToString()) == (300, "too many names")
    assert read_rejection(ExportTraceServiceResponse().SerializeToString()) == (0, "")


@given(st.binary(max_size=60))
def test_no_reply_can_make_the_reader_fail(body: bytes) -> None:
    assert read_rejection(body).items >= 0
