"""Routes that take telemetry, and those that show what it says: figures and traces."""

from __future__ import annotations

from mystic_collector.analysis.hotspots import SORTS
from mystic_collector.operations.operation import NUMBER, OBJECT, PAGED, TEXT, TRUTH, WHOLE, Operation, fields, list_of

_FIGURES = fields(
    name=TEXT,
    service=TEXT,
    call_count=WHOLE,
    timed_count=WHOLE,
    total_time=NUMBER,
    avg_time=NUMBER,
    min_time=NUMBER,
    max_time=NUMBER,
    p50=NUMBER,
    p95=NUMBER,
    p99=NUMBER,
    exceptions=WHOLE,
    last_called={"type": ["number", "null"]},
    processes=WHOLE,
    decisions=list_of(fields(strategy=TEXT, decision=TEXT, reason=TEXT, count=WHOLE)),
)
_PERIOD = {name: {"type": "number", "description": "when a span began: Unix seconds"} for name in ("since", "until")}
_MATCHING = {"function": TEXT, "service": TEXT, "errors": TRUTH, "min_duration": NUMBER, "limit": WHOLE, **_PERIOD}
_SPAN_SUMMARY = {
    "trace_id": TEXT, "name": TEXT, "function": TEXT, "service": TEXT, "start": NUMBER, "duration": NUMBER,
    "span_count": WHOLE, "errors": WHOLE,
}  # fmt: skip
_OTLP = ("application/x-protobuf", "application/json")

TELEMETRY = (
    Operation("post", "/v1/traces", "OTLP spans, gzip allowed", OBJECT, body=OBJECT, media=_OTLP),
    Operation("post", "/v1/metrics", "OTLP metrics, gzip allowed", OBJECT, body=OBJECT, media=_OTLP),
    Operation("post", "/v1/logs", "OTLP logs and events, gzip allowed", OBJECT, body=OBJECT, media=_OTLP),
    Operation(
        "get",
        "/api/metrics",
        "What every function costs; seconds; brief leaves out what a list of all does not show",
        fields(functions=list_of(_FIGURES), total=WHOLE, summary=OBJECT, overhead=OBJECT),
        {
            "q": TEXT,
            "service": TEXT,
            "histograms": TRUTH,
            "brief": TRUTH,
            "sort": {"type": "string", "enum": list(SORTS)},
            **PAGED,
        },
    ),
    Operation(
        "get",
        "/api/metrics/{function}",
        "What one function costs, with its history; since is in seconds before now",
        _FIGURES,
        {"service": TEXT, "since": WHOLE},
    ),
    Operation(
        "get",
        "/api/points",
        "Newest points of other metrics",
        fields(points=list_of(OBJECT), count=WHOLE),
        {"metric": TEXT, "service": TEXT, "limit": WHOLE},
    ),
    Operation(
        "get",
        "/api/traces",
        "Newest traces with a matching span; min_duration in seconds",
        fields(traces=list_of(fields(**_SPAN_SUMMARY)), count=WHOLE),
        _MATCHING,
    ),
    Operation("get", "/api/traces/{id}", "One trace", fields(**_SPAN_SUMMARY, spans=list_of(OBJECT))),
    Operation(
        "get",
        "/api/analysis/flame",
        "Where the time of the newest matching traces goes: one tree of callers, seconds as the mean of a trace",
        fields(name=TEXT, total=NUMBER, self=NUMBER, count=WHOLE, children=list_of(OBJECT), traces=WHOLE),
        _MATCHING,
    ),
)
