"""Routes that say what is worth a cache."""

from __future__ import annotations

from mystic_collector.operations.operation import NUMBER, OBJECT, TEXT, WHOLE, Operation, fields, list_of

_PREDICTION = fields(
    ttl=NUMBER,
    hit_rate={"type": "number", "description": "of all calls that were seen, beginning with an empty cache"},
    hit_rate_when_warm={"type": ["number", "null"], "description": "after the first ttl"},
    margin={"type": "number", "description": "that hit_rate is within, with 95 % certainty"},
    hits_per_hour=NUMBER,
    seconds_saved_per_hour=NUMBER,
    entries=WHOLE,
    bytes=WHOLE,
    stale_hits={"type": "integer", "description": "of compared_hits those whose real result had changed"},
    compared_hits=WHOLE,
)
_ANSWER = fields(
    function=TEXT,
    service=TEXT,
    verdict={"type": "string", "enum": ["yes", "no", "unknown"]},
    reasons=list_of(TEXT),
    notes=list_of(TEXT),
    ttl={"type": ["number", "null"], "description": "seconds; saves most with no result out of date"},
    hit_rate=NUMBER,
    seconds_saved_per_hour=NUMBER,
    bytes=WHOLE,
    calls=WHOLE,
    sampled_calls=WHOLE,
    sampled_share_of_keys=NUMBER,
    observed={"type": "number", "description": "seconds"},
    purity=OBJECT,
    predictions=list_of(_PREDICTION),
)

CACHEABILITY = (
    Operation(
        "get",
        "/api/analysis/cacheability",
        "The functions that agents have analyzed, those worth a cache first",
        fields(functions=list_of(_ANSWER), count=WHOLE),
        {"service": TEXT, "limit": WHOLE},
    ),
    Operation(
        "get",
        "/api/analysis/cacheability/{function}",
        "What a cache would do to one function, in each service; a ttl such as 5m may be given several times",
        _ANSWER,
        {
            "ttl": TEXT,
            "scope": {"type": "string", "enum": ["process", "shared"]},
            "max_bytes": WHOLE,
            "max_entries": WHOLE,
            "service": TEXT,
        },
    ),
)
