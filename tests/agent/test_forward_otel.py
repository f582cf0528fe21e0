"""MYSTIC_EXPORTER=otel: the application's own OpenTelemetry pipeline carries our spans and figures."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from mystic_agent.forward_otel.exporters import exporters, interval_seconds
from mystic_agent.forward_otel.logs import emitted
from mystic_agent.forward_otel.metrics import metrics_data
from mystic_agent.forward_otel.spans import readable
from mystic_agent.otlp import encode_logs, encode_metrics, encode_spans
from mystic_agent.records import Count, Event, Reading, SpanRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as official_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics as official_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

SPAN = SpanRecord("shop:buy", b"t" * 16, b"s" * 8, b"p" * 8, 1000, 2000, ("ValueError", "no"), (("n", 3),))
READINGS = [
    Reading("shop:buy", (2, 0, 0, 4, 0, 300, *[0] * 58), 9000, 0, 31, 1),
    Reading("shop:free", (1, *[0] * 63), 0, 0, 0),
    Reading("shop:idle", (0,) * 64, 0, 0, 0),
]
COUNTS = [Count("mystic.function.decisions", 5, (("a", "b"),)), Count("mystic.agent.overhead", 0.5, gauge=True)]


def test_a_span_of_the_sdk_says_what_our_own_encoder_says() -> None:
    ours = ExportTraceServiceRequest.FromString(encode_spans(b"", [SPAN])).resource_spans[0].scope_spans[0]
    theirs = official_spans([readable(SPAN, Resource({}))]).resource_spans[0].scope_spans[0]

    theirs.spans[0].flags = 0
    assert ours == theirs


def test_an_event_of_the_sdk_says_what_our_own_encoder_says() -> None:
    inside = Event("mystic.snapshot", 7, "{}", 17, b"t" * 16, b"s" * 8, (("mystic.function", "shop:buy"), ("n", 3)))
    for event in (inside, Event("mystic.log", 7, "text")):
        from opentelemetry.sdk._logs import ReadableLogRecord

        made = emitted(event, Resource({}))
        record = ReadableLogRecord(made.log_record, made.resource, made.instrumentation_scope)
        theirs = official_logs([record]).resource_logs[0].scope_logs[0]
        ours = ExportLogsServiceRequest.FromString(encode_logs(b"", [event])).resource_logs[0].scope_logs[0]

        theirs.log_records[0].flags = 0
        assert ours == theirs


def test_metrics_of_the_sdk_say_what_our_own_encoder_says() -> None:
    data = metrics_data(READINGS, COUNTS, Resource({}), start_ns=5, now_ns=9)
    theirs = official_metrics(data).resource_metrics[0].scope_metrics[0]
    body = encode_metrics(b"", READINGS, COUNTS, start_ns=5, now_ns=9)
    ours = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0]

    for metric in theirs.metrics:
        for point in metric.exponential_histogram.data_points:
            point.ClearField("negative")  # the SDK sends it empty
            if not point.positive.bucket_counts:
                point.ClearField("positive")
    assert ours == theirs
    assert metrics_data(READINGS[2:], [], Resource({}), start_ns=5, now_ns=9) is None


def test_an_exporter_that_nobody_offers_is_named_with_the_remedy() -> None:
    with pytest.raises(LookupError, match=r"'zipkon'.*pip install"):
        exporters("traces", {"OTEL_TRACES_EXPORTER": "zipkon"})


@pytest.mark.parametrize("environ", [{"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}])
def test_what_is_switched_off_exports_nowhere(environ: dict[str, str]) -> None:
    assert exporters("traces", environ) == []


@pytest.mark.parametrize(("text", "seconds"), [("", 60.0), ("500", 0.5), ("soon", 60.0)])
def test_the_interval_is_the_one_of_the_specification(text: str, seconds: float) -> None:
    assert interval_seconds({"OTEL_METRIC_EXPORT_INTERVAL": text}) == seconds


HEAD = """
import json, sys
from mystic_agent.forward_otel import Forward
assert not any(name.startswith("opentelemetry") for name in sys.modules), "imported before it is needed"
from mystic_agent.records import Batch, Count, Event, Reading, SpanRecord
forward = Forward((("service.name", "shop"),), 1)
SPAN = SpanRecord("shop:buy", b"t" * 16, b"s" * 8, b"p" * 8, 1000, 2000, ("ValueError", "no"), (("n", 3),))
READING = Reading("shop:buy", (0, 0, 0, 4, *[0] * 60), 20, 5, 5, 1)
BATCH = Batch([SPAN], [READING], [Count("mystic.agent.overhead", 0.5, gauge=True)])
"""


def run(script: str, **environ: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:mystic_agent", "-c", HEAD + script],
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_applications_processors_and_readers_get_everything_with_its_own_resource() -> None:
    out = run(
        """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Kept(MetricExporter):
    got = []
    def export(self, data, timeout_millis=0, **_):
        self.got.append(data)
        return MetricExportResult.SUCCESS
    def force_flush(self, timeout_millis=0): return True
    def shutdown(self, timeout_millis=0, **_): pass

resource = Resource({"service.name": "theirs"})
spans, kept = InMemorySpanExporter(), Kept()
provider = TracerProvider(resource=resource)
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
reader = PeriodicExportingMetricReader(kept, export_interval_millis=float("inf"))
metrics.set_meter_provider(MeterProvider([reader], resource=resource))

forward(BATCH)
forward(BATCH)
forward.flush(1)
[first, second] = spans.get_finished_spans()
points = {m.name: m.data.data_points[0] for m in kept.got[-1].resource_metrics[0].scope_metrics[0].metrics}
print(json.dumps({
    "span": [first.name, first.context.trace_id, first.context.span_id, first.parent.span_id, first.start_time,
             first.end_time, first.status.status_code.name, first.resource.attributes["service.name"]],
    "metrics": [kept.got[-1].resource_metrics[0].resource.attributes["service.name"],
                points["mystic.function.duration"].count, points["mystic.function.errors"].value,
                points["mystic.agent.overhead"].value],
    "exports": len(kept.got),
}))
"""
    )

    eights = [int.from_bytes(letter * size) for letter, size in ((b"t", 16), (b"s", 8), (b"p", 8))]
    assert json.loads(out) == {
        "span": ["shop.buy", *eights, 1000, 2000, "ERROR", "theirs"],
        "metrics": ["theirs", 4, 1, 0.5],
        "exports": 2,
    }


def test_the_applications_log_processors_get_events_but_no_line_that_its_logging_has_already() -> None:
    out = run(
        """
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
kept = InMemoryLogRecordExporter()
provider = LoggerProvider(resource=Resource({"service.name": "theirs"}))
provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
_logs.set_logger_provider(provider)
forward(Batch(events=[Event("mystic.log", 5, "line"), Event("mystic.snapshot", 6, "{}", 17, b"t" * 16, b"s" * 8)]))
print(json.dumps([[one.log_record.event_name, one.log_record.body, one.log_record.timestamp,
                   one.resource.attributes["service.name"]] for one in kept.get_finished_logs()]))
"""
    )

    assert json.loads(out) == [["mystic.snapshot", "{}", 6, "theirs"]]


def test_without_a_log_provider_events_go_where_the_environment_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    async def receive() -> Any:
        async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port)) as tap:
            waiting = asyncio.ensure_future(tap.await_log(lambda log: True, 30))
            await asyncio.sleep(0)
            script = 'forward(Batch(events=[Event("mystic.log", 5, "line")]))\nforward.flush(5)'
            await asyncio.to_thread(run, script, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
            return await waiting

    log = asyncio.run(receive())
    assert (log.event_name, log.body.string_value) == ("mystic.log", "line")


def test_a_reader_that_fetches_is_offered_calls_errors_and_time() -> None:
    out = run(
        """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
forward(Batch([], [READING], []))
forward(Batch([], [READING], []))
forward._due = 0
forward(Batch([], [READING], []))
found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(json.dumps({m.name: [m.data.data_points[0].value, m.data.data_points[0].attributes["mystic.function"]]
                  for m in found}))
"""
    )

    assert json.loads(out) == {
        "mystic.function.calls": [4, "shop:buy"],
        "mystic.function.time": [20, "shop:buy"],
        "mystic.function.errors": [1, "shop:buy"],
    }


def test_without_providers_exporters_are_made_as_the_environment_says_and_reach_a_third_party() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    async def receive() -> tuple[Any, Any]:
        async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port)) as tap:
            waiting = asyncio.gather(
                tap.await_trace(lambda span: True, 30),
                tap.await_metric(lambda metric: metric.name == "mystic.function.duration", 30),
            )
            await asyncio.sleep(0)
            script = "forward(BATCH)\nforward.flush(5)"
            await asyncio.to_thread(run, script, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
            return await waiting

    span, metric = asyncio.run(receive())

    assert (span.name, span.trace_id, span.parent_span_id) == ("shop.buy", b"t" * 16, b"p" * 8)
    assert metric.exponential_histogram.data_points[0].count == 4


def test_at_exit_the_last_batch_is_asked_for_before_the_provider_shuts_down_and_nothing_is_printed() -> None:
    out = run(
        """
import atexit
from mystic_agent.link import Endpoint, Link
from mystic_agent.outbox import Outbox

said = [Batch()]
def collect():
    return said.pop() if said else Batch()
link = Link(Endpoint("127.0.0.1", 1), collect=collect, report=lambda complete: None, apply=lambda *_: None,
            resource=b"", start_ns=1, outbox=Outbox(), interval=3600, on_fault=lambda *_: None, forward=forward)
link.start()
atexit.register(lambda: (link.flush(1), link.stop(1)))

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
class Print(SpanExporter):
    def export(self, spans):
        print(*[span.attributes["n"] for span in spans])
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Print()))
trace.set_tracer_provider(provider)
said.append(Batch([SPAN._replace(attributes=(("n", 1),))]))
link.flush(1)
said.append(Batch([SPAN._replace(attributes=(("n", 2),))]))
"""
    )

    assert out.split() == ["1", "2"]
