"""Routes around changes of the set of hijacks."""

from __future__ import annotations

from mystic_collector.operations.operation import OBJECT, TEXT, TRUTH, WHOLE, Operation, fields, list_of

_STEP = fields(hijack=TEXT, target=TEXT, change={"enum": ["added", "removed", "changed"]}, fields=list_of(OBJECT))
_VERSIONS = {"type": "integer", "description": "a version of the set, as GET /api/hijacks/history lists them"}
_SWITCH = fields(off=OBJECT, version=WHOLE, changed=TRUTH)

_PATCH = fields(
    patch=TEXT, functions=list_of(TEXT), refused=list_of(fields(function=TEXT, reason=TEXT)), notes=list_of(TEXT)
)
_STAGE = {"stage": {"type": "string", "description": "the stage that is meant, where a hijack has several"}}

CHANGES = (
    Operation("get", "/api/patch", "What all hijacks do, as a patch of the source", _PATCH, _STAGE),
    Operation("get", "/api/hijacks/{id}/patch", "What a hijack does, as a patch of the source", _PATCH, _STAGE),
    Operation(
        "get",
        "/api/hijacks/history",
        "Versions of the set, newest first, each with what it changed",
        fields(version=WHOLE, oldest=WHOLE, history=list_of(OBJECT), count=WHOLE, next={"type": ["integer", "null"]}),
        {"limit": WHOLE, "before": WHOLE, "hijack": TEXT},
    ),
    Operation(
        "get",
        "/api/hijacks/diff",
        "What differs between two versions; by default the last change",
        {**fields(changes=list_of(_STEP), text=TEXT, to=WHOLE), "required": ["changes", "text"]},
        {"from": _VERSIONS, "to": _VERSIONS},
    ),
    Operation(
        "post",
        "/api/hijacks/undo",
        "Bring an earlier version back; by default the one before the last change",
        fields(to=WHOLE, version=WHOLE, changes=list_of(_STEP), text=TEXT, left_out=list_of(TEXT), dry_run=TRUTH),
        {"dry_run": TRUTH},
        body=fields(to=_VERSIONS),
    ),
    Operation(
        "get",
        "/api/hijacks/stale",
        "Hijacks to be removed or renewed, with the reason and the command",
        fields(stale=list_of(fields(hijack=TEXT, target=TEXT, reasons=list_of(OBJECT))), count=WHOLE),
        {"unused": {"type": "string", "description": "how long nothing has been called: a duration such as 7d"}},
    ),
    Operation(
        "get",
        "/api/audit",
        "Changes and refused attempts, newest first; next is the before of the following page",
        fields(audit=list_of(OBJECT), count=WHOLE, next={"type": ["integer", "null"]}),
        {"limit": WHOLE, "before": WHOLE, "hijack": TEXT, "actor": TEXT, "action": TEXT, "refused": TRUTH},
    ),
    Operation(
        "post",
        "/api/hijacks/{id}/renew",
        "Let the lease begin anew",
        OBJECT,
        body=fields(expires_in={"description": "a duration such as 24h, or never", "type": ["string", "number"]}),
    ),
    Operation(
        "post", "/api/off", "Release everything in every process, or in those of a service", _SWITCH,
        body=fields(service=TEXT, reason=TEXT),
    ),
    Operation("post", "/api/on", "End that", _SWITCH, body=fields(service=TEXT, reason=TEXT)),
)  # fmt: skip
