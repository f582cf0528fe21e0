"""What other tools do around a call: OpenTelemetry, ddtrace and logfire, each with an exporter that drops everything.

They live in another process than our own variants, because our tracer joins an OpenTelemetry that is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench import own
from bench.rounds import Variant
from bench.subject import recorded, surrounded, within

SLOW_CALLS = 400
OTEL_SPAN, OTEL_HISTOGRAM = "OpenTelemetry SDK span", "OpenTelemetry SDK histogram"
DD_SPAN, LOGFIRE_SPAN, LOGFIRE_AUTO = "ddtrace span", "logfire span", "logfire auto-tracing"
JOINED = "Mystic, sampled span joined to OpenTelemetry"


def variants(kind: str) -> list[Variant]:
    """Return the peers' ways for functions of ``kind``."""
    return [
        *opentelemetry_variants(kind),
        ddtrace_variant(kind),
        *logfire_variants(kind),
        own.sampled(kind, JOINED),
    ]


def opentelemetry_variants(kind: str) -> list[Variant]:
    """Spans through the batch processor; durations into a histogram with one attribute."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(_dropping_processor())
    tracer = provider.get_tracer("bench")
    histogram = MeterProvider([InMemoryMetricReader()]).get_meter("bench").create_histogram("duration")
    attributes = {"function": "f"}

    def opened() -> Any:
        return tracer.start_as_current_span("f")

    return [
        Variant(OTEL_SPAN, within(kind, opened), SLOW_CALLS, surrounded(kind, opened)),
        Variant(OTEL_HISTOGRAM, recorded(kind, lambda elapsed: histogram.record(elapsed, attributes)), SLOW_CALLS),
    ]


def _dropping_processor() -> Any:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Dropping(SpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    return BatchSpanProcessor(Dropping())


def ddtrace_variant(kind: str) -> Variant:
    """Spans of one running trace; what is written goes nowhere."""
    from ddtrace.trace import TraceFilter, tracer

    class Dropping(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            return None

    tracer.configure(trace_processors=[Dropping()])

    def opened() -> Any:
        return tracer.trace("f")

    return Variant(DD_SPAN, within(kind, opened), SLOW_CALLS, surrounded(kind, opened))


def logfire_variants(kind: str) -> list[Variant]:
    """Spans as one writes them, and the functions of a module as auto-tracing rewrites them."""
    import logfire

    global _logfire
    if not _logfire:
        _logfire = True
        logfire.configure(
            send_to_logfire=False, console=False, additional_span_processors=[_dropping_processor()], metrics=False
        )
        logfire.install_auto_tracing(modules=["bench.implementation"], min_duration=0)
    from bench import implementation

    def opened() -> Any:
        return logfire.span("f")

    around = surrounded(kind, opened)
    found = [Variant(LOGFIRE_SPAN, within(kind, opened), SLOW_CALLS, around)]
    if kind != "generator":  # auto-tracing leaves generators alone
        found.append(Variant(LOGFIRE_AUTO, getattr(implementation, kind), SLOW_CALLS, around))
    return found


_logfire = False
