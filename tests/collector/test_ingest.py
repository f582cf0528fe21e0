"""OTLP from our agents and from anybody's SDK, good and bad."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some
from mystic_agent.contract import wire
from mystic_collector.otlp.json_form import read_json
from mystic_collector.otlp.points import read_points
from mystic_collector.otlp.protobuf_form import read_protobuf
from mystic_collector.otlp.refused import RefusedError
from mystic_collector.otlp.spans import read_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from .conftest import Running, raw
from .messages import DELTA, duration, metrics, span, traces

PROTOBUF = {"content-type": "application/x-protobuf"}
PATHS = ("/v1/traces", "/v1/metrics", "/v1/logs")


def test_what_an_agent_sends_is_counted_exactly(collector: Running) -> None:
    for instance in ("a", "b"):
        sent = metrics(
            duration("app:slow", {20: 3, 22: 1}, errors=2),
            duration("app:quick", {10: 5}),
            instance=instance,
            decisions={("app:slow", "cache", "hit"): 7, ("app:slow", "cache", "miss"): 3},
            untimed={"app:slow": 6},
            facts={(wire.DROPPED, "spans"): 2, (wire.OVERHEAD, ""): 0.01},
        )
        assert collector.otlp(wire.METRICS_PATH, sent).status_code == 200
    collector.settle()
    found = collector.get("/api/metrics")
    assert [one["name"] for one in found["functions"]] == ["app:slow", "app:quick"]
    slow = found["functions"][0]
    assert (slow["call_count"], slow["timed_count"], slow["exceptions"], slow["processes"]) == (20, 8, 4, 2)
    assert slow["total_time"] == pytest.approx(2 * (3 * 1.5 * 2**20 + 1.5 * 2**22) / 1e9)
    assert slow["avg_time"] == pytest.approx(slow["total_time"] / 20)
    assert (slow["min_time"], slow["max_time"]) == pytest.approx((1.5 * 2**20 / 1e9, 1.5 * 2**22 / 1e9))
    assert slow["min_time"] <= slow["p50"] <= slow["p95"] <= slow["p99"] <= slow["max_time"]
    assert {one["decision"]: one["count"] for one in slow["decisions"]} == {"hit": 14, "miss": 6}
    assert found["summary"]["total_calls"] == 30
    assert collector.get("/api/status")["dropped"] == {"spans": 4}


def test_spans_are_found_by_trace_with_their_errors(collector: Running) -> None:
    root = span("app:root", duration=5_000_000)
    child = span("app:child", trace=root.trace_id, parent=root.span_id, error="ValueError: no such page")
    reply = collector.otlp(wire.TRACES_PATH, traces(root, child))
    assert ExportTraceServiceResponse.FromString(reply.content) == ExportTraceServiceResponse()
    collector.settle()
    found = collector.get(f"/api/traces/{root.trace_id.hex()}")
    assert (found["name"], found["span_count"], found["errors"]) == ("app.root", 2, 1)
    by_name = {one["function"]: one for one in found["spans"]}
    assert by_name["app:child"]["parent_id"] == root.span_id.hex()
    assert by_name["app:child"]["error"] == "ValueError: no such page"
    assert by_name["app:child"]["events"][0]["name"] == "exception"
    assert by_name["app:root"]["duration"] == pytest.approx(0.005)
    [listed] = collector.get("/api/traces", function="app:child", errors="true")["traces"]
    assert listed["trace_id"] == root.trace_id.hex()
    assert collector.get("/api/traces", min_duration=1)["traces"] == []


def test_any_opentelemetry_sdk_may_send_over_protobuf(collector: Running) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.trace import Status, StatusCode

    resource = Resource.create({"service.name": "foreign"})
    tracing = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(f"{collector.url}/v1/traces", compression=Compression.Gzip)
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    with tracing.get_tracer("t").start_as_current_span("checkout", attributes={"user": 7, "tags": ["a", "b"]}) as one:
        one.record_exception(KeyError("gone"))
        one.set_status(Status(StatusCode.ERROR, "it failed"))
    tracing.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{collector.url}/v1/metrics"), 60_000)
    metering = MeterProvider([reader], resource=resource)
    meter = metering.get_meter("t")
    meter.create_counter("requests", "1").add(3, {"path": "/"})
    meter.create_histogram("latency", "s").record(0.25)
    metering.shutdown()
    collector.settle()

    [found] = collector.get("/api/traces", service="foreign")["traces"]
    assert (found["name"], found["errors"]) == ("checkout", 1)
    [stored] = collector.get(f"/api/traces/{found['trace_id']}")["spans"]
    assert stored["error"] == "it failed"
    assert stored["attributes"] == {"user": 7, "tags": ["a", "b"]}
    points = {one["metric"]: one for one in collector.get("/api/points", service="foreign")["points"]}
    assert (points["requests"]["value"], points["requests"]["attributes"]) == (3.0, {"path": "/"})
    assert (points["latency"]["value"], points["latency"]["detail"]["count"]) == (0.25, 1)


def test_otlp_json_is_taken_with_hexadecimal_ids(collector: Running) -> None:
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "5B8EFFF798038103D269B633813FC60C",
                                "spanId": "EEE19B7EC3C1B174",
                                "parentSpanId": "EEE19B7EC3C1B173",
                                "name": "click",
                                "kind": 2,
                                "startTimeUnixNano": "1544712660000000000",
                                "endTimeUnixNano": "1544712661000000000",
                                "attributes": [{"key": "n", "value": {"intValue": "5"}}],
                                "unknownField": 1,
                            }
                        ]
                    }
                ],
            }
        ]
    }
    reply = collector.client.post("/v1/traces", json=body)
    assert (reply.status_code, reply.headers["content-type"], reply.json()) == (200, "application/json", {})
    collector.settle()
    [stored] = collector.get("/api/traces/5b8efff798038103d269b633813fc60c")["spans"]
    assert (stored["name"], stored["parent_id"], stored["attributes"]) == ("click", "eee19b7ec3c1b173", {"n": 5})


def test_json_metrics_are_counted_like_protobuf_ones(collector: Running) -> None:
    from google.protobuf.json_format import MessageToDict

    collector.post("/v1/metrics", MessageToDict(metrics(duration("app:f", {10: 5}, errors=1))))
    collector.settle()
    [found] = collector.get("/api/metrics")["functions"]
    assert (found["call_count"], found["exceptions"]) == (5, 1)


def test_spans_with_impossible_ids_are_rejected_one_by_one(collector: Running) -> None:
    good, short, empty, late = span("m:good"), span("m:short"), span("m:empty"), span("m:late")
    short.trace_id = b"short"
    empty.span_id = bytes(8)
    late.end_time_unix_nano = 2**64 - 1
    reply = collector.otlp(wire.TRACES_PATH, traces(short, good, empty, late))
    partial = ExportTraceServiceResponse.FromString(reply.content).partial_success
    assert (reply.status_code, partial.rejected_spans) == (200, 3)
    assert "trace_id must have 16 bytes" in partial.error_message
    collector.settle()
    assert [one["name"] for one in collector.get("/api/traces")["traces"]] == ["m.good"]


def test_a_span_that_ends_before_it_starts_is_kept_as_it_came(collector: Running) -> None:
    collector.otlp(wire.TRACES_PATH, traces(span("m:f", duration=-5_000)))
    collector.settle()
    [found] = collector.get("/api/traces", function="m:f")["traces"]
    [stored] = collector.get(f"/api/traces/{found['trace_id']}")["spans"]
    assert stored["duration"] == pytest.approx(-5e-6)


def test_delta_figures_are_rejected_with_the_remedy(collector: Running) -> None:
    reply = collector.otlp(wire.METRICS_PATH, metrics(duration("m:f", {3: 1}), temporality=DELTA))
    partial = ExportMetricsServiceResponse.FromString(reply.content).partial_success
    assert partial.rejected_data_points == 1
    assert "set the exporter's temporality preference to cumulative" in partial.error_message


@pytest.mark.parametrize("path", PATHS)
def test_a_gzip_bomb_is_refused_by_what_it_becomes(start: Callable[..., Any], path: str) -> None:
    with start(max_inflated_bytes=2**20) as collector:
        bomb = gzip.compress(bytes(200 * 2**20))
        reply = collector.client.post(path, content=bomb, headers={**PROTOBUF, "content-encoding": "gzip"})
        assert reply.status_code == 413
        assert b"after decompression" in reply.content
        layered = gzip.compress(bytes(2**19)) * 3  # several members, each below the limit
        reply = collector.client.post(path, content=layered, headers={**PROTOBUF, "content-encoding": "gzip"})
        assert reply.status_code == 413
        assert collector.get("/health")["status"] == "ok"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(start: Callable[..., Any]) -> None:
    with start(max_body_bytes=2048) as collector:
        head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {PROTOBUF['content-type']}\r\n"
        answer = raw(collector.url, f"{head}Content-Length: 999999999\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 413 ")
        chunks = b"".join(b"400\r\n" + bytes(1024) + b"\r\n" for _ in range(8)) + b"0\r\n\r\n"
        answer = raw(collector.url, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
        assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_never_comes_is_given_up(start: Callable[..., Any]) -> None:
    with start(body_timeout=0.05) as collector:
        head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {PROTOBUF['content-type']}\r\n"
        answer = raw(collector.url, f"{head}Content-Length: 100\r\n\r\nabc".encode())
        assert answer.startswith(b"HTTP/1.1 408 ")


def nested(depth: int) -> bytes:
    value = AnyValue(string_value="deep")
    encoded = value.SerializeToString()

    def wrap(tag: int, inner: bytes) -> bytes:
        size, parts = len(inner), bytearray((tag,))
        while size > 127:
            parts.append(size & 127 | 128)
            size >>= 7
        return bytes((*parts, size)) + inner

    for _ in range(depth):
        encoded = wrap(0x2A, wrap(0x0A, encoded))  # array_value { values { … } }
    attribute = wrap(0x0A, b"k") + wrap(0x12, encoded)
    return wrap(0x0A, wrap(0x12, wrap(0x12, wrap(0x4A, attribute) + wrap(0x32, attribute))))  # of spans; of log records


DEEP_JSON = b'{"resourceSpans":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
DEEP_GROUP = (
    b'[{"resource":{"attributes":[{"key":"k","value":' + b'{"arrayValue":{"values":[' * 300 + b"]}}" * 300 + b"}]}}]"
)
DEEP_VALUE = b"{" + b",".join(b'"resource%b":' % one + DEEP_GROUP for one in (b"Spans", b"Metrics", b"Logs")) + b"}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (PROTOBUF, nested(10_000), 400),
        (PROTOBUF, traces(span("m:f")).SerializeToString()[:-3], 400),
        (PROTOBUF, b"\xff" * 1000, 400),
        ({**PROTOBUF, "content-encoding": "gzip"}, gzip.compress(b"\x0a\x00" * 999)[:-9], 400),
        ({**PROTOBUF, "content-encoding": "gzip"}, b"not gzip at all", 400),
        ({**PROTOBUF, "content-encoding": "br"}, b"", 415),
        ({**PROTOBUF, "content-encoding": "deflate"}, zlib.compress(b""), 415),
        ({"content-type": "text/plain"}, b"hello", 415),
        ({}, b"hello", 415),
        ({"content-type": "application/json"}, DEEP_JSON, 400),
        ({"content-type": "application/json"}, DEEP_VALUE, 400),
        ({"content-type": "application/json"}, b'{"resourceSpans": [{"scope', 400),
        ({"content-type": "application/json"}, b"[]", 400),
        ({"content-type": "application/json"}, b'{"resourceSpans": 5, "resourceMetrics": 5, "resourceLogs": 5}', 400),
        ({"content-type": "application/json"}, b'{"resourceSpans": [{"traceId": 5}], "traceId": "zz"}', 400),
        ({"content-type": "application/json"}, b"\xff\xfe", 400),
    ],
    ids=[
        "protobuf nested too deep",
        "protobuf cut short",
        "noise",
        "gzip cut short",
        "no gzip",
        "brotli",
        "deflate",
        "text",
        "no type",
        "json nested too deep",
        "json values nested too deep",
        "json cut short",
        "json list",
        "json of wrong types",
        "json ids of wrong types",
        "no text",
    ],
)
def test_bad_bodies_are_refused_and_the_collector_works_on(
    shared: Running, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    reply = shared.client.post(path, content=body, headers=headers)
    assert reply.status_code == status, reply.content
    if headers.get("content-type") == "application/json":
        assert reply.json()["message"]
    assert shared.otlp(wire.TRACES_PATH, traces(span("m:after"))).status_code == 200


def test_an_error_reply_in_protobuf_is_a_status_message(shared: Running) -> None:
    from google.rpc.status_pb2 import Status

    reply = shared.client.post("/v1/traces", content=b"\xff", headers=PROTOBUF)
    assert reply.headers["content-type"] == "application/x-protobuf"
    status = Status.FromString(reply.content)
    assert status.code == 3
    assert "not an ExportTraceServiceRequest" in status.message


def test_an_empty_request_is_a_success(shared: Running) -> None:
    for path in PATHS:
        assert shared.client.post(path, content=b"", headers=PROTOBUF).status_code == 200


def test_a_full_queue_is_answered_with_429_and_a_time_and_loses_nothing_that_was_taken(
    start: Callable[..., Any],
) -> None:
    with start(max_queue_bytes=2048) as collector:
        store, writer = collector.parts.store, collector.parts.writer
        from threading import Event

        begun, go, write = Event(), Event(), store.write

        def slow(batch: Any) -> None:
            begun.set()
            assert go.wait(20)
            write(batch)

        store.write = slow
        assert collector.otlp(wire.TRACES_PATH, traces(*(span("m:f") for _ in range(20)))).status_code == 200
        assert begun.wait(20)
        refused = collector.otlp(wire.TRACES_PATH, traces(span("m:g")))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert collector.get("/health")["status"] == "ok"
        go.set()
        collector.settle()
        assert collector.otlp(wire.TRACES_PATH, traces(span("m:g"))).status_code == 200
        collector.settle()
        counts = writer.counts()
        assert (counts.accepted, counts.written, counts.refused, counts.lost) == (21, 21, 1, 0)
        assert collector.get("/api/status")["ingest"]["refused"] == 1


def test_what_the_store_cannot_keep_is_counted_as_lost(start: Callable[..., Any]) -> None:
    from mystic_collector.store.protocol import StoreError

    with start() as collector:
        write = collector.parts.store.write

        def failing(batch: Any) -> None:
            collector.parts.store.write = write
            raise StoreError("disk full; make room")

        collector.parts.store.write = failing
        collector.otlp(wire.TRACES_PATH, traces(span("m:f"), span("m:f")))
        collector.settle()
        collector.otlp(wire.TRACES_PATH, traces(span("m:f")))
        collector.settle()
        ingest = collector.get("/api/status")["ingest"]
        assert (ingest["lost"], ingest["written"]) == (2, 1)


def test_everything_accepted_is_there_after_a_restart(start: Callable[..., Any]) -> None:
    with start() as collector:
        for number in range(1, 20):
            collector.otlp(wire.METRICS_PATH, metrics(duration("m:f", {10: number})))
            collector.otlp(wire.TRACES_PATH, traces(span("m:f")))
    with start() as collector:
        assert collector.get("/api/metrics")["functions"][0]["call_count"] == 19
        assert collector.get("/api/traces", limit=100)["count"] == 19
        collector.otlp(wire.METRICS_PATH, metrics(duration("m:f", {10: 25})))
        collector.settle()
        assert collector.get("/api/metrics/m:f")["call_count"] == 25


def status_of(read: Callable[[], Any]) -> int:
    """Return 200, or the status with which the body was refused; any other error goes on."""
    try:
        read()
    except RefusedError as error:
        return error.status
    return 200


def decode_spans(body: bytes) -> Any:
    return read_spans(read_protobuf(body, ExportTraceServiceRequest()))


def decode_points(body: bytes) -> Any:
    return read_points(read_protobuf(body, ExportMetricsServiceRequest()))


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WHOLE = traces(span("m:f", error="E: x"), span("m:g")).SerializeToString()
FIGURES = metrics(duration("m:f", {3: 1, 5: 2}, errors=1), facts={("mystic.agent.x", ""): 1.0}).SerializeToString()


@FUZZ
@given(some.binary(max_size=300))
def test_random_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (decode_spans, decode_points):
        assert status_of(lambda read=read: read(body)) in (200, 400)


@FUZZ
@given(some.integers(0, 10_000), some.integers(0, 255), some.integers(0, 10_000))
def test_damaged_messages_are_read_or_refused(place: int, byte: int, cut: int) -> None:
    for read, whole in ((decode_spans, WHOLE), (decode_points, FIGURES)):
        damaged = bytearray(whole)
        damaged[place % len(damaged)] = byte
        for body in (bytes(damaged), bytes(damaged[: cut % len(damaged)])):
            assert status_of(lambda read=read, body=body: read(body)) in (200, 400)


KEYS = ["resourceSpans", "scopeSpans", "spans", "traceId", "attributes", "key", "value", "intValue", "arrayValue", "x"]
JSONS = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)


@FUZZ
@given(some.dictionaries(some.sampled_from(KEYS), JSONS))
@example({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": None}]}]}]})
def test_json_of_any_shape_is_read_or_refused(value: Any) -> None:
    body = json.dumps(value).encode()
    assert status_of(lambda: read_json(body, ExportTraceServiceRequest())) in (200, 400)


@FUZZ
@given(
    some.lists(
        some.text(some.characters(exclude_categories=["Cs"]), max_size=30)
        | some.integers(-(2**63), 2**63 - 1)
        | some.floats()
        | some.booleans()
        | some.binary(max_size=9),
        max_size=5,
    ),
    some.text(some.characters(exclude_categories=["Cs"]), max_size=2000),
)
def test_every_value_an_attribute_may_have_survives_keeping(values: list[Any], name: str) -> None:
    from mystic_collector.otlp.spans import row_of, spans_in

    one = span("m:f")
    one.name = name
    for number, value in enumerate(values):
        kind = {str: "string", int: "int", float: "double", bool: "bool", bytes: "bytes"}[type(value)]
        one.attributes.append(KeyValue(key=f"k{number}", value=AnyValue(**{f"{kind}_value": value})))
    [incoming], rejected, _ = read_spans(traces(one))
    assert rejected == 0
    assert incoming.spans is not None
    [kept] = [row_of(each) for each in spans_in(incoming.spans.body)]
    found = json.loads(kept.attributes)
    assert kept.name == name[:1000]
    for number, value in enumerate(values):
        if isinstance(value, str | bool | int):
            assert found[f"k{number}"] == value
