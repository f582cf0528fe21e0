"""Names on the wire between agent and collector.

Metrics and attributes follow OpenTelemetry's naming rules; ``code.function.name`` is its semantic
convention, everything under ``mystic.`` is ours.
"""

from __future__ import annotations

PROTOCOL = 1

# Paths the agent calls on the collector.
TRACES_PATH = "/v1/traces"
METRICS_PATH = "/v1/metrics"
LOGS_PATH = "/v1/logs"
STREAM_PATH = "/agent/v1/hijacks"
REPORT_PATH = "/agent/v1/report"
CACHE_FIND_PATH = "/agent/v1/cache/find"
CACHE_KEEP_PATH = "/agent/v1/cache/keep"
RECORDINGS_KEEP_PATH = "/agent/v1/recordings/keep"
RECORDINGS_LOAD_PATH = "/agent/v1/recordings/load"
HEALTH_PATH = "/health"

# Request headers.
API_KEY_HEADER = "X-Mystic-Key"
ACTOR_HEADER = "X-Mystic-Actor"  # who changes something, percent-encoded; for the audit

# Server-sent events on STREAM_PATH.
HIJACKS_EVENT = "hijacks"

SCOPE = "mystic_agent"

# Metrics, all cumulative since the start of the process.
DURATION = "mystic.function.duration"  # ExponentialHistogram, scale 0, unit ns
ERRORS = "mystic.function.errors"  # Sum, unit {call}
DECISIONS = "mystic.function.decisions"  # Sum, unit {call}; attributes STRATEGY and DECISION
DROPPED = "mystic.agent.dropped"  # Sum, unit {item}; attribute KIND
CALLS = "mystic.function.calls"  # Sum, unit {call}: calls counted without being timed; add to the histogram's count
OVERHEAD = "mystic.agent.overhead"  # Gauge, share of one core spent in the agent
FUNCTIONS = "mystic.agent.functions"  # Gauge, functions attached
COST = "mystic.agent.cost"  # Gauge, ns of one call; attribute KIND: observe, count

# What functions do outside of their process: cumulative sums; attributes FUNCTION and EXTERNAL_*.
EXTERNAL = (
    "mystic.external.operations",  # {operation}: requests, programs started
    "mystic.external.connections",  # {connection}: opened
    "mystic.external.errors",  # {error}
    "mystic.external.sent",  # By
    "mystic.external.received",  # By
    "mystic.external.waited",  # ns
)
EXTERNAL_VIA = "mystic.external.via"  # "module:qualname" of the library function that was called
EXTERNAL_PEER = "mystic.external.peer"  # "host:port", "unix:/path", or a program's name
EXTERNAL_PROTOCOL = "network.protocol.name"

# Attributes.
FUNCTION = "mystic.function"  # "module:qualname"
CODE_FUNCTION = "code.function.name"  # "module.qualname", OpenTelemetry semantic convention
STRATEGY = "mystic.strategy"
DECISION = "mystic.decision"
REASON = "mystic.reason"
KIND = "mystic.kind"

ARGUMENTS = "mystic.arguments"
OUTCOME = "mystic.outcome"
SECONDS = "mystic.seconds"

# Events, as OTLP log records with an event name.
LOG_EVENT = "mystic.log"
SNAPSHOT_EVENT = "mystic.snapshot"

# Resource attributes that identify a process.
SERVICE_NAME = "service.name"
INSTANCE_ID = "service.instance.id"
STAGE = "deployment.environment.name"
PID = "process.pid"
