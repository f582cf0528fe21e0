"""Routes of what a hijack has changed, who waits for whom, and what the agent costs."""

from __future__ import annotations

from mystic_collector.operations.hijacks import HIJACK
from mystic_collector.operations.operation import NUMBER, OBJECT, TEXT, TRUTH, WHOLE, Operation, fields, list_of

_OUT = {
    **dict.fromkeys(("operations", "connections", "errors", "sent", "received"), WHOLE),
    "waited": NUMBER,
    "last_called": NUMBER,
}
_EXTERNAL = fields(
    function=TEXT,
    service=TEXT,
    target={"type": "string", "description": "what to hijack to keep it from calling out"},
    stages=list_of(TEXT),
    peers=list_of(TEXT),
    protocols=list_of(TEXT),
    via=list_of(TEXT),
    call_count=WHOLE,
    share={"type": ["number", "null"], "description": "of the function's time that it waited"},
    mostly_external=TRUTH,
    calls_out=list_of(fields(peer=TEXT, protocol=TEXT, via=TEXT, stage=TEXT, processes=WHOLE, **_OUT)),
    **_OUT,
)
_SIDE = fields(
    call_count=WHOLE,
    timed_count=WHOLE,
    exceptions=WHOLE,
    error_rate={"type": ["number", "null"]},
    hits=WHOLE,
    misses=WHOLE,
    hit_rate={"type": ["number", "null"]},
    total_time=NUMBER,
    **{name: {"type": ["number", "null"]} for name in ("avg_time", "p50", "p95", "p99")},
    decisions={"type": "object", "additionalProperties": WHOLE},
    processes=WHOLE,
)
_IMPACT = fields(
    id=TEXT,
    target=TEXT,
    owner=TEXT,
    reason=TEXT,
    released_at={"type": ["number", "null"]},
    versions=list_of(
        fields(
            version=WHOLE,
            strategies=list_of(TEXT),
            functions=list_of(
                fields(function=TEXT, service=TEXT, stage=TEXT, before=_SIDE, after=_SIDE, change=OBJECT)
            ),
            sum=OBJECT,
        )
    ),
    lost=WHOLE,
)

ANALYSIS = (
    Operation("get", "/api/hijacks/{id}/impact", "What one hijack has changed, measured; also released", _IMPACT),
    Operation(
        "get",
        "/api/analysis/impact",
        "What each hijack has changed, newest first",
        fields(impacts=list_of(_IMPACT), count=WHOLE),
        {"function": TEXT, "service": TEXT, "limit": WHOLE},
    ),
    Operation(
        "get",
        "/api/analysis/external",
        "Functions that call out of their process, the longest waiting first; waited in seconds",
        fields(functions=list_of(_EXTERNAL), count=WHOLE),
        {"q": TEXT, "service": TEXT, "stage": TEXT, "since": WHOLE},
    ),
    Operation(
        "get",
        "/api/analysis/overhead",
        "What the agent cost over the last seconds, estimated by function; share_of_core 1 is a whole core",
        fields(
            functions=list_of(
                fields(
                    function=TEXT,
                    service=TEXT,
                    strategies=list_of(TEXT),
                    calls_per_second=NUMBER,
                    per_call=NUMBER,
                    share_of_core=NUMBER,
                )
            ),
            count=WHOLE,
            share_of_core=NUMBER,
            seconds=NUMBER,
            uncosted=list_of(TEXT),
            measured=OBJECT,
        ),
        {"service": TEXT, "seconds": WHOLE, "limit": WHOLE},
    ),
    Operation(
        "post",
        "/api/analysis/external/mock",
        "Answer in place of the function that calls out, in one stage",
        HIJACK,
        body=fields(
            function=TEXT,
            peer=TEXT,
            stage={"type": "string", "default": "development"},
            service=TEXT,
            value={},
            yields=list_of({}),
            exception=TEXT,
            message=TEXT,
            recording=TEXT,
            owner=TEXT,
            reason=TEXT,
            expires_in={"type": ["string", "number"]},
        ),
        status=201,
    ),
)
