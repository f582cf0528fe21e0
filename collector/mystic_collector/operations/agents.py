"""Routes that agents ask."""

from __future__ import annotations

from mystic_collector.operations.hijacks import HIJACK
from mystic_collector.operations.operation import OBJECT, TEXT, WHOLE, Operation, fields, list_of

_FRAMES = ("application/octet-stream",)

AGENTS = (
    Operation(
        "get",
        "/agent/v1/hijacks",
        "The whole set of hijacks at once and after every change, as server-sent events",
        fields(version=WHOLE, hijacks=list_of(HIJACK)),
        {"service": TEXT, "instance": TEXT, "stage": TEXT},
        result_media="text/event-stream",
    ),
    Operation(
        "post",
        "/agent/v1/cache/find",
        "Signed entries that agents share, in frames",
        TEXT,
        body=TEXT,
        media=_FRAMES,
        result_media="application/octet-stream",
    ),
    Operation("post", "/agent/v1/cache/keep", "Keep such entries", TEXT, body=TEXT, media=_FRAMES, status=204),
    Operation(
        "post",
        "/agent/v1/recordings/keep",
        "Keep outcomes of calls",
        fields(taken=WHOLE, refused=WHOLE),
        body=fields(entries=list_of(OBJECT)),
    ),
    Operation(
        "post",
        "/agent/v1/recordings/load",
        "A page of what is recorded of one function",
        fields(entries=list_of(OBJECT), next={"type": ["integer", "null"]}),
        body=fields(recording=TEXT, function=TEXT, after=WHOLE),
    ),
    Operation("post", "/agent/v1/report", "What an agent has attached", fields(version=WHOLE), body=OBJECT),
)
