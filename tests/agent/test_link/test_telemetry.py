"""Metrics and spans on their way to the collector."""

from __future__ import annotations

import gzip
import time

from mystic_agent.records import Batch, Count, Event, Reading, SpanRecord
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def span(i: int, **more):
    return SpanRecord("shop:buy", bytes(16), i.to_bytes(8), b"", time.time_ns(), time.time_ns() + 5, **more)


def reading(calls: int, function: str = "shop:buy") -> Reading:
    buckets = [0] * 64
    buckets[3] = calls
    return Reading(function, tuple(buckets), 5 * calls, 5, 5)


def span_ids(posts) -> list[int]:
    found = []
    for posted in posts:
        request = ExportTraceServiceRequest.FromString(gzip.decompress(posted.body))
        for one in request.resource_spans[0].scope_spans[0].spans:
            found.append(int.from_bytes(one.span_id))
    return found


def calls(posts) -> int:
    """The highest count of shop:buy, as a collector would keep it."""
    best = 0
    for posted in posts:
        request = ExportMetricsServiceRequest.FromString(gzip.decompress(posted.body))
        for metric in request.resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.exponential_histogram.data_points:
                best = max(best, point.count)
    return best


def test_spans_and_metrics_arrive_as_gzipped_protobuf_with_the_key(collector, owner, linked) -> None:
    owner.batch = Batch([span(1), span(2)], [reading(7)], [Count("mystic.agent.functions", 3, gauge=True)])

    linked(collector.port, api_key="s3cret")

    collector.wait(lambda: collector.of("/v1/traces") and collector.of("/v1/metrics"))
    assert span_ids(collector.of("/v1/traces")) == [1, 2]
    assert calls(collector.of("/v1/metrics")) == 7
    for posted in collector.of("/v1/traces") + collector.of("/v1/metrics"):
        assert posted.headers["Content-Type"] == "application/x-protobuf"
        assert posted.headers["Content-Encoding"] == "gzip"
        assert posted.headers["X-Mystic-Key"] == "s3cret"
        assert posted.headers["Host"] == f"127.0.0.1:{collector.port}"


def test_nothing_is_lost_while_the_collector_is_down(collector, owner, linked, restart) -> None:
    owner.batch = Batch([span(1)], [reading(1)])
    linked(collector.port)
    collector.wait(lambda: collector.of("/v1/traces") and calls(collector.of("/v1/metrics")))
    collector.close()
    owner.faults.get(timeout=10)
    owner.batch = Batch([span(2), span(3)], [reading(2)])

    again = restart(collector.port)

    again.wait(lambda: again.of("/v1/traces") and calls(again.of("/v1/metrics")) == 2)
    assert span_ids(collector.of("/v1/traces") + again.of("/v1/traces")) == [1, 2, 3]
    assert owner.outbox.dropped == {}


def test_flush_sends_what_was_said_a_moment_ago(collector, owner, linked) -> None:
    link = linked(collector.port, interval=3600)
    assert link.flush(10)
    owner.batch = Batch([span(9)], [reading(4)])

    assert link.flush(10)

    assert span_ids(collector.of("/v1/traces")) == [9]
    assert calls(collector.of("/v1/metrics")) == 4


def events(posts) -> list[str]:
    found = []
    for posted in posts:
        request = ExportLogsServiceRequest.FromString(gzip.decompress(posted.body))
        found += [one.event_name for one in request.resource_logs[0].scope_logs[0].log_records]
    return found


def test_events_arrive_as_log_records_and_wait_while_the_collector_is_down(collector, owner, linked, restart) -> None:
    owner.batch = Batch(events=[Event("one", 1), Event("two", 2)])
    linked(collector.port, api_key="s3cret")
    [first] = collector.wait(lambda: collector.of("/v1/logs"))
    assert (first.headers["Content-Type"], first.headers["X-Mystic-Key"]) == ("application/x-protobuf", "s3cret")
    assert events([first]) == ["one", "two"]
    collector.close()
    owner.faults.get(timeout=10)
    owner.batch = Batch(events=[Event("three", 3)])

    again = restart(collector.port)

    again.wait(lambda: again.of("/v1/logs"))
    assert events(collector.of("/v1/logs") + again.of("/v1/logs")) == ["one", "two", "three"]
    assert owner.outbox.dropped == {}


def test_a_receiver_that_takes_no_logs_still_gets_the_spans_behind_them(collector, owner, linked, answer) -> None:
    collector.answer = lambda posted: answer(404 if posted.path == "/v1/logs" else 200)
    owner.batch = Batch(events=[Event("one", 1), Event("two", 2)])
    link = linked(collector.port, interval=3600)
    link.flush(10)
    owner.batch = Batch([span(1)])

    assert link.flush(10)

    assert span_ids(collector.of("/v1/traces")) == [1]
    assert owner.outbox.dropped == {"logs": 2}
