"""Routes that show single calls: log records, snapshots, and what happened in order of time."""

from __future__ import annotations

from mystic_collector.operations.operation import NUMBER, OBJECT, TEXT, WHOLE, Operation, fields, list_of
from mystic_collector.store.log_records import LEVELS

_TEXT_OR_NULL = {"type": ["string", "null"]}
_WHOLE_OR_NULL = {"type": ["integer", "null"]}
_OBJECT_OR_NULL = {"type": ["object", "null"]}
_ORIGIN = {
    "id": WHOLE, "time": NUMBER, "time_ns": WHOLE, "function": TEXT, "service": TEXT, "instance": TEXT,
    "trace_id": _TEXT_OR_NULL, "span_id": _TEXT_OR_NULL,
    "captured": {"const": True, "description": "foreign text, captured in an application"},
}  # fmt: skip
_SINCE = {"type": ["string", "number"], "description": "how long ago at most: seconds, or a duration such as 15m"}
_CURSOR = {"type": ["string", "null"], "description": "next of an earlier page"}
_FRAME = fields(function=TEXT, file=TEXT, line=_WHOLE_OR_NULL)

RECORDS = (
    Operation(
        "post",
        "/api/logs",
        "Log records, newest first; with after those that arrived since, in that order",
        fields(
            logs=list_of(fields(**_ORIGIN, level=TEXT, severity=WHOLE, event=TEXT, message=TEXT, attributes=OBJECT)),
            count=WHOLE,
            next=_CURSOR,
            newest={"type": "integer", "description": "for after, to follow"},
        ),
        body=fields(
            function=TEXT,
            service=TEXT,
            level={"type": "string", "enum": list(LEVELS), "description": "the lowest that is wanted"},
            event=TEXT,
            trace_id=TEXT,
            text=TEXT,
            since=_SINCE,
            limit=WHOLE,
            cursor=_CURSOR,
            after=WHOLE,
        ),
    ),
    Operation(
        "post",
        "/api/state/snapshots",
        "Single calls in full, newest first; duration in seconds",
        fields(
            snapshots=list_of(
                fields(
                    **_ORIGIN,
                    outcome=_TEXT_OR_NULL,
                    duration={"type": ["number", "null"]},
                    started_ns=_WHOLE_OR_NULL,
                    number=_WHOLE_OR_NULL,
                    of=_WHOLE_OR_NULL,
                    hijack=_TEXT_OR_NULL,
                    thread=_TEXT_OR_NULL,
                    task=_TEXT_OR_NULL,
                    arguments=_OBJECT_OR_NULL,
                    arguments_at={"enum": ["call", "end", None], "description": "when they were looked at"},
                    result=_TEXT_OR_NULL,
                    exception=_OBJECT_OR_NULL,
                    caller={"type": ["array", "null"], "items": _FRAME, "description": "nearest first"},
                    text={"type": "string", "description": "what a foreign sender sent instead"},
                )
            ),
            count=WHOLE,
            next=_CURSOR,
        ),
        body=fields(function=TEXT, service=TEXT, id=WHOLE, since=_SINCE, limit=WHOLE, cursor=_CURSOR),
    ),
    Operation(
        "get",
        "/api/state/timeline",
        "Snapshots, changes of the hijacks and errors of sampled calls, newest first",
        fields(
            timeline=list_of(
                {**fields(kind={"enum": ["snapshot", "change", "error"]}, time=NUMBER, time_ns=WHOLE),
                 "required": ["kind", "time", "time_ns"]}
            ),
            count=WHOLE,
            next=_CURSOR,
        ),
        {"function": TEXT, "service": TEXT, "since": _SINCE, "limit": WHOLE, "cursor": _CURSOR},
    ),
)  # fmt: skip
