"""Routes of the collector itself."""

from __future__ import annotations

from mystic_collector.operations.operation import OBJECT, TEXT, TRUTH, Operation, fields, list_of

COLLECTOR = (
    Operation("get", "/health", "Is it there; asks for no key", fields(status=TEXT, version=TEXT), keyed=False),
    Operation("get", "/api/status", "Processes, drops, overhead, sizes", OBJECT),
    Operation(
        "get",
        "/api/doctor",
        "What the collector finds amiss with itself, with remedies",
        fields(ok=TRUTH, findings=list_of(fields(about=TEXT, verdict=TEXT, detail=TEXT))),
    ),
    Operation(
        "post",
        "/api/init",
        "Write .mystic/config.json unless it is there",
        fields(path=TEXT, written=TRUTH),
        body=fields(project_name=TEXT),
    ),
    Operation("get", "/openapi.json", "This description", OBJECT),
)
