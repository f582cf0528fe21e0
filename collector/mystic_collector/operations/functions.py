"""Routes that show which functions there are."""

from __future__ import annotations

from mystic_agent.contract.report import KINDS, STATES

from mystic_collector.operations.operation import OBJECT, PAGED, TEXT, WHOLE, Operation, fields, list_of

_FUNCTION = fields(
    function=TEXT,
    service=TEXT,
    kind={"type": "string", "enum": ["", *KINDS]},
    file=TEXT,
    line=WHOLE,
    states={"type": "object", "propertyNames": {"enum": list(STATES)}, "additionalProperties": WHOLE},
    processes=WHOLE,
    summary=TEXT,
    strategies=list_of(TEXT),
    hijacks=list_of(TEXT),
    reasons=list_of(TEXT),
    instances=list_of(
        fields(
            instance=TEXT,
            pid=WHOLE,
            state={"type": "string", "enum": [*STATES, "absent"]},
            reason=TEXT,
            strategies=list_of(TEXT),
            hijacks=list_of(TEXT),
            references={**list_of(TEXT), "description": "references that are not reached"},
        )
    ),
    instances_left_out={"type": "integer", "description": "processes beyond those listed in instances"},
)

FUNCTIONS = (
    Operation(
        "get",
        "/api/functions",
        "Functions of living processes with their state per process",
        fields(functions=list_of(_FUNCTION), total=WHOLE, offset=WHOLE),
        {
            "q": TEXT,
            "function": TEXT,
            "service": TEXT,
            "state": {"type": "string", "enum": list(STATES)},
            **PAGED,
        },
    ),
    Operation(
        "post",
        "/api/functions/inspect",
        "Signature, docstring, source, parameters and dependencies, from source",
        fields(
            function=TEXT,
            kind=TEXT,
            file=TEXT,
            line=WHOLE,
            signature=TEXT,
            docstring=TEXT,
            source=TEXT,
            decorators=list_of(TEXT),
            parameters=OBJECT,
            dependencies=OBJECT,
            running=list_of(OBJECT),
        ),
        body={**fields(function=TEXT), "required": ["function"]},
    ),
    Operation(
        "get",
        "/api/discovered",
        "Functions that run or stand in the project's source",
        fields(project_root=TEXT, functions=list_of(OBJECT), total=WHOLE, running=WHOLE, unread=list_of(OBJECT)),
        {"q": TEXT, "service": TEXT, **PAGED},
    ),
    Operation("get", "/api/resolve", "The function that a name means", fields(function=TEXT), {"name": TEXT}),
)
