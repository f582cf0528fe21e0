"""Environment of the processes that are measured."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
BOOTSTRAP = PROJECT / "sitecustomize" / "mystic_bootstrap"
SHOP = HERE / "shop"
BUILD = PROJECT / "build"
CLOSED = "http://127.0.0.1:9"
"""Nothing listens on the discard port."""

_OURS = ("MYSTIC_", "OTEL_", "DD_", "LOGFIRE_", "PYTHONPATH", "PROJECT_ROOT")


def clean() -> dict[str, str]:
    """Return the environment without anything that would switch a tool on or change it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}  # logfire is one, and would load itself into every FastAPI


def offline() -> dict[str, str]:
    """Return the peers' own settings that let them export nothing at all."""
    return quiet("") | {"OTEL_TRACES_EXPORTER": "none", "DD_TRACE_AGENT_URL": CLOSED}


def quiet(receiver: str = CLOSED) -> dict[str, str]:
    """Return the peers' own settings that keep them on this machine, exporting to ``receiver`` alone."""
    return {
        "DD_TRACE_AGENT_URL": receiver,
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_CRASHTRACKING_ENABLED": "false",
        "DD_TRACE_STARTUP_LOGS": "false",
        "DD_TRACE_LOG_LEVEL": "CRITICAL",
        "DD_LOGS_INJECTION": "false",
        "LOGFIRE_SEND_TO_LOGFIRE": "false",
        "LOGFIRE_CONSOLE": "false",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
