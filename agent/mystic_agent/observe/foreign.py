"""The application's own OpenTelemetry trace, joined when it has one and never imported for our sake."""

from __future__ import annotations

import sys
from typing import Any

from mystic_agent.guard import FAULTS

Outside = tuple[bytes, bytes]


def present() -> bool:
    """True when the application has set an OpenTelemetry tracer provider; the API alone makes no spans."""
    return getattr(sys.modules.get("opentelemetry.trace"), "_TRACER_PROVIDER", None) is not None


def current() -> Outside | None:
    """Return (trace id, span id) of the application's running OpenTelemetry span, or None."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    try:
        context = api.get_current_span().get_span_context()
        if context.is_valid:
            return context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")
    except FAULTS:
        return None  # a half-imported or very old opentelemetry: we keep to our own trace
    return None
