"""Routes of the page, and those that it asks beside the others."""

from __future__ import annotations

from mystic_collector.operations.operation import NUMBER, TEXT, TRUTH, WHOLE, Operation, fields, list_of

_RATE = fields(at=NUMBER, calls_per_second=NUMBER, errors_per_second=NUMBER, hits_per_second=NUMBER)
_RELATION = fields(function=TEXT, count=WHOLE, total=NUMBER, share=NUMBER)
_OPTION = fields(
    option=TEXT,
    default={},
    help=TEXT,
    choices={**list_of(TEXT), "description": "all it may be; empty: not a few texts"},
)

PAGE = (
    Operation("get", "/", "The page", TEXT, keyed=False, result_media="text/html"),
    Operation(
        "get", "/web/{path}", "A file of the page", TEXT, keyed=False, result_media="application/octet-stream"
    ),
    Operation(
        "post",
        "/login",
        "Give a browser a cookie for the key",
        fields(key=TRUTH, lasts={"type": "integer", "description": "seconds"}),
        body={**fields(key=TEXT), "required": ["key"]},
        keyed=False,
    ),
    Operation("post", "/logout", "Take that cookie back", fields(key=TRUTH), keyed=False),
    Operation(
        "get",
        "/api/live",
        "Numbers that grow when there is something new to ask for, as server-sent events",
        fields(version=WHOLE, reports=WHOLE, streams=WHOLE, written=WHOLE),
        result_media="text/event-stream",
    ),
    Operation(
        "get",
        "/api/strategies",
        "What may be done to a function, with the options and their defaults",
        fields(
            strategies=list_of(fields(strategy=TEXT, observing=TRUTH, allowed=TRUTH, options=list_of(_OPTION))),
            count=WHOLE,
        ),
    ),
    Operation(
        "get",
        "/api/analysis/rates",
        "Calls, errors and cache hits of all functions together, over the last since seconds",
        fields(rates=list_of(_RATE), seconds=WHOLE),
        {"since": WHOLE, "service": TEXT},
    ),
    Operation(
        "get",
        "/api/analysis/relations",
        "Who calls a function and whom it calls, with the share of its time, from sampled calls",
        fields(
            function=TEXT, calls=WHOLE, total=NUMBER, self=NUMBER, traces=WHOLE,
            callers=list_of(_RELATION), callees=list_of(_RELATION),
        ),
        {"function": TEXT, "service": TEXT, "limit": WHOLE},
    ),
)  # fmt: skip
