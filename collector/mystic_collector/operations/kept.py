"""Routes of what is kept for other calls: recordings and shared cache entries."""

from __future__ import annotations

from mystic_collector.operations.operation import NUMBER, TEXT, TRUTH, WHOLE, Operation, fields, list_of

_RECORDING = fields(
    name=TEXT, functions=list_of(TEXT), count=WHOLE, raised=WHOLE, bytes=WHOLE, first=NUMBER, last=NUMBER
)
_OUTCOME = fields(function=TEXT, key=TEXT, call=TEXT, at=NUMBER, returned={}, raised=TEXT, message=TEXT)

KEPT = (
    Operation(
        "get",
        "/api/recordings",
        "What was recorded, by name",
        fields(recordings=list_of(_RECORDING), count=WHOLE),
    ),
    Operation(
        "get",
        "/api/recordings/{name}",
        "A page of the outcomes of one recording",
        fields(name=TEXT, captured=TRUTH, outcomes=list_of(_OUTCOME), count=WHOLE, next={"type": ["integer", "null"]}),
        {"function": TEXT, "limit": WHOLE, "after": WHOLE},
    ),
    Operation("delete", "/api/recordings/{name}", "Forget one recording", fields(name=TEXT, removed=WHOLE)),
    Operation(
        "get",
        "/api/cache/{function}/{key}",
        "One shared cache entry",
        fields(function=TEXT, key=TEXT, value={}, expires_at={"type": ["number", "null"]}),
    ),
    Operation(
        "put",
        "/api/cache/{function}/{key}",
        "Keep a value; without a ttl until there is no room",
        fields(function=TEXT, key=TEXT, stored=WHOLE, ttl={"type": ["number", "null"]}),
        body={**fields(value={}, ttl={"type": ["string", "number"]}), "required": ["value"]},
    ),
    Operation(
        "delete",
        "/api/cache/{function}/{key}",
        "Forget one entry",
        fields(function=TEXT, key=TEXT, removed=TRUTH),
    ),
)
