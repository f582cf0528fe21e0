"""Routes of the hijacks in force."""

from __future__ import annotations

from mystic_agent.contract.strategy import STRATEGIES

from mystic_collector.operations.operation import NUMBER, OBJECT, TEXT, TRUTH, WHOLE, Operation, fields, list_of

_STRATEGY = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {
        name: {
            "type": "object",
            "properties": {
                key: {"description": one.help, **({"enum": list(one.choices)} if one.choices else {})}
                for key, one in options.items()
            },
        }
        for name, options in STRATEGIES.items()
    },
    "additionalProperties": False,
}
HIJACK = {
    "type": "object",
    "required": ["target", "stages"],
    "properties": {
        "target": {"type": "string", "description": "module:qualname with globs, a dotted path or a bare name"},
        "service": {"type": "string", "default": "*"},
        "stages": {"type": "object", "additionalProperties": list_of(_STRATEGY)},
        "owner": TEXT,
        "reason": TEXT,
        "expires_in": {"description": "a duration such as 24h, or never", "type": ["string", "number"]},
        "expires_at": {"description": "Unix seconds", "type": ["number", "null"]},
    },
}
_HIJACKED = fields(
    name=TEXT,
    hijack=TEXT,
    service=TEXT,
    strategies=list_of(TEXT),
    in_force=list_of(TEXT),
    owner=TEXT,
    reason=TEXT,
    created_at=NUMBER,
    expires_at={"type": ["number", "null"]},
    states={"type": "object", "additionalProperties": WHOLE},
)
_ONE_STRATEGY = {
    "type": "object",
    "required": ["function", "strategy"],
    "properties": {
        "function": TEXT,
        "strategy": {"type": "string", "enum": sorted(STRATEGIES)},
        "options": OBJECT,
        "service": TEXT,
        "stage": TEXT,
        "owner": TEXT,
        "reason": TEXT,
        "expires_in": {"type": ["string", "number"]},
    },
}

HIJACKS = (
    Operation(
        "post", "/api/functions/hijack", "Hijack a function with one strategy", HIJACK, body=_ONE_STRATEGY, status=201
    ),
    Operation(
        "post",
        "/api/functions/unhijack",
        "Release a function",
        fields(removed=list_of(TEXT), count=WHOLE),
        body={**fields(function=TEXT, strategy=TEXT), "required": ["function"]},
    ),
    Operation("get", "/api/hijacked", "Hijacked functions", fields(hijacked_functions=list_of(_HIJACKED), count=WHOLE)),
    Operation(
        "get",
        "/api/hijacked/{function}",
        "The hijacks of one function",
        fields(name=TEXT, hijacks=list_of(_HIJACKED), count=WHOLE),
    ),
    Operation("get", "/api/hijacks", "All hijacks", fields(version=WHOLE, hijacks=list_of(HIJACK), count=WHOLE)),
    Operation(
        "post",
        "/api/hijacks",
        "Add a hijack; with dry_run say what it would do, with 200",
        HIJACK,
        {"dry_run": TRUTH},
        body=HIJACK,
        status=201,
    ),
    Operation("get", "/api/hijacks/{id}", "One hijack and how far it is in force", HIJACK),
    Operation("put", "/api/hijacks/{id}", "Replace a hijack", HIJACK, {"dry_run": TRUTH}, body=HIJACK),
    Operation("delete", "/api/hijacks/{id}", "Remove a hijack", fields(removed=HIJACK, version=WHOLE)),
)
