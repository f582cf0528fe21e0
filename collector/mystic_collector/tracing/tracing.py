"""The OpenTelemetry SDK, put together when something is traced for the first time."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.trace import Tracer

    Keep = Callable[[ExportTraceServiceRequest], None]

from mystic_collector.version import VERSION

SERVICE = "gnosis-mystic"
_SOON_MS = 500.0
_FAREWELL_MS = 2000


class Tracing:
    """Makes spans of one process's work and hands them to ``keep``.

    The SDK costs a tenth of a second to import, so that is done with the first request that is traced.

    Args:
        keep: takes what was done, as an OTLP request, on a thread of the SDK's.
        everywhere: libraries that trace through OpenTelemetry's global provider, such as the MCP SDK, do it here. For a
            process that belongs to one collector.
        begins: traces begin here too; else only those of callers are continued.
    """

    def __init__(self, keep: Keep, everywhere: bool = False, begins: bool = True) -> None:
        self._keep = keep
        self._everywhere = everywhere
        self.begins = begins
        self._provider: TracerProvider | None = None
        self._made: Tracer | None = None

    @property
    def ready(self) -> bool:
        """Whether :meth:`tracer` returns at once."""
        return self._made is not None

    def tracer(self) -> Tracer:
        """Return what makes spans."""
        if self._made is None:
            self._provider = self._build()
            self._made = self._provider.get_tracer("mystic_collector", VERSION)
        return self._made

    def stop(self) -> None:
        """Hand over what waits and end the SDK's thread."""
        if self._provider is not None:
            self._provider.force_flush(_FAREWELL_MS)
            self._provider.shutdown()

    def _build(self) -> TracerProvider:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

        keep = self._keep

        class Inside(SpanExporter):
            """To where ``keep`` has them."""

            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                keep(encode_spans(spans))  # what this raises ends in the SDK, which says so in the log
                return SpanExportResult.SUCCESS

        # Not Resource.create: the environment may be that of an application this collector was started beside.
        who = {"service.name": SERVICE, "service.version": VERSION, "service.instance.id": secrets.token_hex(8)}
        provider = TracerProvider(ParentBased(ALWAYS_ON), Resource(who), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(Inside(), schedule_delay_millis=_SOON_MS))
        if self._everywhere:
            trace.set_tracer_provider(provider)
        return provider
