"""Routes of the collector itself."""

from __future__ import annotations

from mystic_collector.operations.operation import OBJECT, TEXT, TRUTH, Operation, fields

COLLECTOR = (
    Operation("get", "/health", "Is it there; asks for no key", fields(status=TEXT, version=TEXT), keyed=False),
    Operation("get", "/api/status", "Processes, drops, overhead, sizes", OBJECT),
    Operation(
        "post",
        "/api/init",
        "Write .mystic/config.json unless it is there",
        fields(path=TEXT, written=TRUTH),
        body=fields(project_name=TEXT),
    ),
    Operation("get", "/openapi.json", "This description", OBJECT),
)
