"""Batches handed to the SDK of the application, or to one of our own."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any

from mystic_agent import __version__
from mystic_agent.contract import wire
from mystic_agent.contract.named import NamedTuple
from mystic_agent.forward_otel.exporters import exporters, interval_seconds
from mystic_agent.forward_otel.logs import emitted
from mystic_agent.forward_otel.metrics import metrics_data
from mystic_agent.forward_otel.spans import readable
from mystic_agent.link.gate import load
from mystic_agent.otlp.metrics import UNITS
from mystic_agent.records import Attribute, Batch, Count, Event, Reading, SpanRecord

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

_PARTS = (
    "importlib.metadata",
    "opentelemetry.metrics",
    "opentelemetry.trace",
    "opentelemetry.sdk.metrics.export",
    "opentelemetry.sdk.trace.export",
)
_LOG_PARTS = ("opentelemetry._logs", "opentelemetry.sdk._logs.export")
_MILLISECONDS = 1000
_SECONDS_PER_EXPORT = 10.0


class _Gate(NamedTuple):
    """One way for figures to leave.

    Attributes:
        export: takes MetricsData and ``timeout_millis``; may block.
        interval: seconds between two exports that its owner wants.
    """

    export: Callable[..., object]
    interval: float


class Forward:
    """Takes batches and hands them to the SDK; call it with each :class:`~mystic_agent.records.Batch`.

    Args:
        resource: attributes of the process, for exporters that are made here; a provider of the application's
            speaks with its own resource.
        start_ns: Unix nanoseconds since when the figures count.
        environ: where OTEL_* is read.

    Raises:
        ImportError: from the call, when the SDK is not installed; the extra ``[otel]`` brings it.
    """

    def __init__(
        self, resource: Iterable[Attribute], start_ns: int, *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._attributes = dict(resource)
        self._start_ns = start_ns
        self._environ = environ
        self._own_processor: SpanProcessor | None = None
        self._own_log_processors: list[BatchLogRecordProcessor] | None = None
        self._own_exporters: list[_Gate] | None = None
        self._latest: tuple[Sequence[Reading], Sequence[Count]] = ((), ())
        self._due = 0.0
        self._observed: set[int] = set()
        self._ask: Callable[[float], object] | None = None
        self._watching = False
        self._closed = False

    def __call__(self, batch: Batch) -> None:
        """Hand over one batch: its spans and events at once, its figures when the exporters' interval has passed."""
        load(*_PARTS)
        if self._closed:
            return
        if batch.spans:
            self._hand_spans(batch.spans)
        if batch.events:
            self._hand_events(batch.events)
        if batch.readings or batch.counts:
            self._latest = (batch.readings, batch.counts)
            self._hand_figures()

    def bind(self, flush: Callable[[float], object]) -> None:
        """Name what makes the agent hand over its last batch, to be called before the SDK's providers shut down."""
        self._ask = flush

    def flush(self, timeout: float) -> None:
        """Send the latest figures whatever the interval, and what our own processors have queued.

        Args:
            timeout: seconds for all.
        """
        if self._closed:
            return
        deadline = monotonic() + timeout
        if any(self._latest):
            self._due = 0.0
            self._hand_figures(timeout)
        if self._own_processor is not None:
            self._own_processor.force_flush(max(1, int((deadline - monotonic()) * _MILLISECONDS)))
        for processor in self._own_log_processors or ():
            processor.force_flush(max(1, int((deadline - monotonic()) * _MILLISECONDS)))

    # -- spans ---------------------------------------------------------------------------------------

    def _hand_spans(self, records: Sequence[SpanRecord]) -> None:
        from opentelemetry import trace

        provider = trace.get_tracer_provider()
        processor = getattr(provider, "_active_span_processor", None)
        resource = getattr(provider, "resource", None)
        if processor is None:
            processor, resource = self._own_span_processor(), self._own_resource()
        else:
            self._watch_exit()
        if processor is not None:
            for record in records:
                processor.on_end(readable(record, resource))

    def _own_span_processor(self) -> SpanProcessor | None:
        from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if self._own_processor is None:
            several = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]
            for exporter in exporters("traces", self._environ):
                several.add_span_processor(BatchSpanProcessor(exporter))
            self._own_processor = several
        return self._own_processor

    # -- events --------------------------------------------------------------------------------------

    def _hand_events(self, events: Sequence[Event]) -> None:
        """Hand over events; what is in the application's logging already is not told its own pipeline again."""
        load(*_LOG_PARTS)
        from opentelemetry._logs import get_logger_provider

        provider: Any = get_logger_provider()
        processor = getattr(provider, "_multi_log_record_processor", None)
        if processor is None:
            resource = self._own_resource()
            for own in self._own_logs():
                for event in events:
                    own.on_emit(emitted(event, resource))
            return
        self._watch_exit()
        for event in events:
            if event.name != wire.LOG_EVENT:
                processor.on_emit(emitted(event, provider.resource))

    def _own_logs(self) -> list[BatchLogRecordProcessor]:
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        if self._own_log_processors is None:
            self._own_log_processors = [BatchLogRecordProcessor(one) for one in exporters("logs", self._environ)]
        return self._own_log_processors

    # -- figures -------------------------------------------------------------------------------------

    def _hand_figures(self, timeout: float = _SECONDS_PER_EXPORT) -> None:
        if monotonic() < self._due:
            return
        resource, gates = self._figure_gates()
        if not gates:
            return
        self._due = monotonic() + min(gate.interval for gate in gates)
        data = metrics_data(*self._latest, resource, start_ns=self._start_ns, now_ns=time_ns())
        if data is not None:
            for gate in gates:
                gate.export(data, timeout_millis=timeout * _MILLISECONDS)

    def _figure_gates(self) -> tuple[Resource, list[_Gate]]:
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        provider = metrics.get_meter_provider()
        readers = getattr(provider, "_metric_readers", None)
        if readers is None:
            if self._own_exporters is None:
                interval = interval_seconds(self._environ)
                made = exporters("metrics", self._environ)
                self._own_exporters = [_Gate(exporter.export, interval) for exporter in made]
            return self._own_resource(), self._own_exporters
        self._watch_exit()
        pushing = [reader for reader in readers if isinstance(reader, PeriodicExportingMetricReader)]
        if len(pushing) < len(readers) and not pushing:
            self._observe(provider)
        resource = getattr(getattr(provider, "_sdk_config", None), "resource", None) or self._own_resource()
        return resource, [
            _Gate(reader._receive_metrics, getattr(reader, "_export_interval_millis", 60_000.0) / _MILLISECONDS)
            for reader in pushing
        ]

    def _observe(self, provider: Any) -> None:
        """Offer calls, errors and time to readers that fetch (Prometheus, say): they take instruments, not points."""
        from opentelemetry.metrics import Observation

        if id(provider) in self._observed:
            return
        self._observed.add(id(provider))
        meter = provider.get_meter(wire.SCOPE, __version__)

        def offer(name: str, unit: str, figure: Callable[[Reading], int]) -> None:
            def observations(_: object) -> list[Any]:
                return [Observation(figure(one), {wire.FUNCTION: one.function}) for one in self._latest[0]]

            meter.create_observable_counter(name, callbacks=[observations], unit=unit)

        offer("mystic.function.calls", "{call}", lambda reading: sum(reading.buckets))
        offer("mystic.function.time", "ns", lambda reading: reading.total_ns)
        offer(wire.ERRORS, UNITS[wire.ERRORS], lambda reading: reading.errors)

    # -- both ----------------------------------------------------------------------------------------

    def _own_resource(self) -> Resource:
        from opentelemetry.sdk.resources import Resource

        return Resource.create(self._attributes)

    def _watch_exit(self) -> None:
        """Be asked at exit before the application's providers are shut down, which then refuse with a log line."""
        if not self._watching:
            self._watching = True
            atexit.register(self._before_exit)

    def _before_exit(self) -> None:
        if self._ask is not None:
            self._ask(0.5)
        self._closed = True
