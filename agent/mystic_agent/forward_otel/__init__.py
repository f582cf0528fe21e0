"""MYSTIC_EXPORTER=otel: everything goes to the OpenTelemetry SDK, its processors and its exporters.

What the application has set up is used: spans go to the processors of its TracerProvider, figures to the
exporters of its MeterProvider. Where it has set up nothing, exporters are made as the OTEL_* variables say.
Whether it has is asked anew for each batch, because an application may set its providers long after the start.

The SDK has no public way in for finished measurements, so two attributes of its providers are read that it
does not promise: ``_active_span_processor`` and ``_metric_readers``. A provider without them is treated as
absent. Law: OpenTelemetry is imported with the first batch, and by nothing else of the agent.
"""

from mystic_agent.forward_otel.forward import Forward

__all__ = ["Forward"]
