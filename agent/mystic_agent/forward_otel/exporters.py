"""Exporters as the OTEL_* variables name them, for applications that have set up none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def exporters(signal: str, environ: Mapping[str, str]) -> list[Any]:
    """Return the exporters that OTEL_{TRACES,METRICS}_EXPORTER names, ``otlp`` by default, made with their defaults.

    Args:
        signal: ``traces``, ``metrics`` or ``logs``.

    Raises:
        LookupError: naming an exporter that no installed package offers.
    """
    from importlib.metadata import entry_points

    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    made: list[Any] = []
    for name in (environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp").split(","):
        name = name.strip()
        if name in ("", "none"):
            continue
        found = [*entry_points(group=f"opentelemetry_{signal}_exporter", name=_offered(name, signal, environ))]
        if not found:
            raise LookupError(
                f"OTEL_{signal.upper()}_EXPORTER names {name[:80]!r}, which no installed package offers: "
                f"install it, or pip install 'gnosis-mystic[otel]' and name otlp"
            )
        made.append(found[0].load()())
    return made


def _offered(name: str, signal: str, environ: Mapping[str, str]) -> str:
    """Return the entry point's name: ``otlp`` stands for one of two, HTTP unless the protocol says gRPC."""
    if name != "otlp":
        return name
    protocol = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "").strip()
    protocol = protocol or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip()
    return "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"


def interval_seconds(environ: Mapping[str, str]) -> float:
    """Return OTEL_METRIC_EXPORT_INTERVAL in seconds; one minute when it is unset or no number."""
    text = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    return float(text[:12]) / 1000 if text.isascii() and text.isdigit() else 60.0
