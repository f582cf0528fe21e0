"""``/openapi.json``: every route described, in one table that a test compares with the routes."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mystic_agent.contract.report import KINDS, STATES
from mystic_agent.contract.strategy import STRATEGIES
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.analysis.hotspots import SORTS
from mystic_collector.operations.cacheability import CACHEABILITY
from mystic_collector.operations.changes import CHANGES
from mystic_collector.operations.operation import Operation
from mystic_collector.operations.records import RECORDS
from mystic_collector.operations.servers import SERVERS
from mystic_collector.reply import reply
from mystic_collector.version import VERSION

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer"}
_TRUTH = {"type": "boolean"}
_OBJECT = {"type": "object"}


def _fields(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


_STRATEGY = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {
        name: {"type": "object", "properties": {key: {"description": one.help} for key, one in options.items()}}
        for name, options in STRATEGIES.items()
    },
    "additionalProperties": False,
}
_HIJACK = {
    "type": "object",
    "required": ["target", "stages"],
    "properties": {
        "target": {"type": "string", "description": "module:qualname with globs, a dotted path or a bare name"},
        "service": {"type": "string", "default": "*"},
        "stages": {"type": "object", "additionalProperties": _list(_STRATEGY)},
        "owner": _TEXT,
        "reason": _TEXT,
        "expires_in": {"description": "a duration such as 24h, or never", "type": ["string", "number"]},
        "expires_at": {"description": "Unix seconds", "type": ["number", "null"]},
    },
}
_HIJACKED = _fields(
    name=_TEXT,
    hijack=_TEXT,
    service=_TEXT,
    strategies=_list(_TEXT),
    owner=_TEXT,
    reason=_TEXT,
    created_at=_NUMBER,
    expires_at={"type": ["number", "null"]},
    states={"type": "object", "additionalProperties": _WHOLE},
)
_RECORDING = _fields(
    name=_TEXT, functions=_list(_TEXT), count=_WHOLE, raised=_WHOLE, bytes=_WHOLE, first=_NUMBER, last=_NUMBER
)
_OUTCOME = _fields(function=_TEXT, key=_TEXT, call=_TEXT, at=_NUMBER, returned={}, raised=_TEXT, message=_TEXT)
_ONE_STRATEGY = {
    "type": "object",
    "required": ["function", "strategy"],
    "properties": {
        "function": _TEXT,
        "strategy": {"type": "string", "enum": sorted(STRATEGIES)},
        "options": _OBJECT,
        "service": _TEXT,
        "stage": _TEXT,
        "owner": _TEXT,
        "reason": _TEXT,
        "expires_in": {"type": ["string", "number"]},
    },
}
_FIGURES = _fields(
    name=_TEXT,
    service=_TEXT,
    call_count=_WHOLE,
    timed_count=_WHOLE,
    total_time=_NUMBER,
    avg_time=_NUMBER,
    min_time=_NUMBER,
    max_time=_NUMBER,
    p50=_NUMBER,
    p95=_NUMBER,
    p99=_NUMBER,
    exceptions=_WHOLE,
    last_called={"type": ["number", "null"]},
    processes=_WHOLE,
    decisions=_list(_fields(strategy=_TEXT, decision=_TEXT, reason=_TEXT, count=_WHOLE)),
)
_OUT = {
    **dict.fromkeys(("operations", "connections", "errors", "sent", "received"), _WHOLE),
    "waited": _NUMBER,
    "last_called": _NUMBER,
}
_EXTERNAL = _fields(
    function=_TEXT,
    service=_TEXT,
    target={"type": "string", "description": "what to hijack to keep it from calling out"},
    stages=_list(_TEXT),
    peers=_list(_TEXT),
    protocols=_list(_TEXT),
    via=_list(_TEXT),
    call_count=_WHOLE,
    share={"type": ["number", "null"], "description": "of the function's time that it waited"},
    mostly_external=_TRUTH,
    calls_out=_list(_fields(peer=_TEXT, protocol=_TEXT, via=_TEXT, stage=_TEXT, processes=_WHOLE, **_OUT)),
    **_OUT,
)
_SIDE = _fields(
    call_count=_WHOLE,
    timed_count=_WHOLE,
    exceptions=_WHOLE,
    error_rate={"type": ["number", "null"]},
    hits=_WHOLE,
    misses=_WHOLE,
    hit_rate={"type": ["number", "null"]},
    total_time=_NUMBER,
    **{name: {"type": ["number", "null"]} for name in ("avg_time", "p50", "p95", "p99")},
    decisions={"type": "object", "additionalProperties": _WHOLE},
    processes=_WHOLE,
)
_IMPACT = _fields(
    id=_TEXT,
    target=_TEXT,
    owner=_TEXT,
    reason=_TEXT,
    released_at={"type": ["number", "null"]},
    versions=_list(
        _fields(
            version=_WHOLE,
            strategies=_list(_TEXT),
            functions=_list(
                _fields(function=_TEXT, service=_TEXT, stage=_TEXT, before=_SIDE, after=_SIDE, change=_OBJECT)
            ),
            sum=_OBJECT,
        )
    ),
    lost=_WHOLE,
)
_FUNCTION = _fields(
    function=_TEXT,
    service=_TEXT,
    kind={"type": "string", "enum": ["", *KINDS]},
    file=_TEXT,
    line=_WHOLE,
    states={"type": "object", "propertyNames": {"enum": list(STATES)}, "additionalProperties": _WHOLE},
    processes=_WHOLE,
    summary=_TEXT,
    strategies=_list(_TEXT),
    hijacks=_list(_TEXT),
    reasons=_list(_TEXT),
    instances=_list(
        _fields(
            instance=_TEXT,
            pid=_WHOLE,
            state={"type": "string", "enum": [*STATES, "absent"]},
            reason=_TEXT,
            strategies=_list(_TEXT),
            hijacks=_list(_TEXT),
            references={**_list(_TEXT), "description": "references that are not reached"},
        )
    ),
    instances_left_out={"type": "integer", "description": "processes beyond those listed in instances"},
)
_SPAN_SUMMARY = {
    "trace_id": _TEXT, "name": _TEXT, "function": _TEXT, "service": _TEXT, "start": _NUMBER, "duration": _NUMBER,
    "span_count": _WHOLE, "errors": _WHOLE,
}  # fmt: skip


_OTLP = ("application/x-protobuf", "application/json")
_FRAMES = ("application/octet-stream",)
_PAGE = {"limit": _WHOLE, "offset": _WHOLE}
OPERATIONS = (
    Operation("get", "/health", "Is it there; asks for no key", _fields(status=_TEXT, version=_TEXT), keyed=False),
    Operation("post", "/v1/traces", "OTLP spans, gzip allowed", _OBJECT, body=_OBJECT, media=_OTLP),
    Operation("post", "/v1/metrics", "OTLP metrics, gzip allowed", _OBJECT, body=_OBJECT, media=_OTLP),
    Operation("post", "/v1/logs", "OTLP logs and events, gzip allowed", _OBJECT, body=_OBJECT, media=_OTLP),
    Operation(
        "get",
        "/agent/v1/hijacks",
        "The whole set of hijacks at once and after every change, as server-sent events",
        _fields(version=_WHOLE, hijacks=_list(_HIJACK)),
        {"service": _TEXT, "instance": _TEXT, "stage": _TEXT},
        result_media="text/event-stream",
    ),
    Operation(
        "post",
        "/agent/v1/cache/find",
        "Signed entries that agents share, in frames",
        _TEXT,
        body=_TEXT,
        media=_FRAMES,
        result_media="application/octet-stream",
    ),
    Operation("post", "/agent/v1/cache/keep", "Keep such entries", _TEXT, body=_TEXT, media=_FRAMES, status=204),
    Operation(
        "post",
        "/agent/v1/recordings/keep",
        "Keep outcomes of calls",
        _fields(taken=_WHOLE, refused=_WHOLE),
        body=_fields(entries=_list(_OBJECT)),
    ),
    Operation(
        "post",
        "/agent/v1/recordings/load",
        "A page of what is recorded of one function",
        _fields(entries=_list(_OBJECT), next={"type": ["integer", "null"]}),
        body=_fields(recording=_TEXT, function=_TEXT, after=_WHOLE),
    ),
    Operation("post", "/agent/v1/report", "What an agent has attached", _fields(version=_WHOLE), body=_OBJECT),
    Operation("get", "/api/status", "Processes, drops, overhead, sizes", _OBJECT),
    Operation(
        "post",
        "/api/init",
        "Write .mystic/config.json unless it is there",
        _fields(path=_TEXT, written=_TRUTH),
        body=_fields(project_name=_TEXT),
    ),
    Operation(
        "get",
        "/api/functions",
        "Functions of living processes with their state per process",
        _fields(functions=_list(_FUNCTION), total=_WHOLE, offset=_WHOLE),
        {
            "q": _TEXT,
            "function": _TEXT,
            "service": _TEXT,
            "state": {"type": "string", "enum": list(STATES)},
            **_PAGE,
        },
    ),
    Operation(
        "post", "/api/functions/hijack", "Hijack a function with one strategy", _HIJACK, body=_ONE_STRATEGY, status=201
    ),
    Operation(
        "post",
        "/api/functions/unhijack",
        "Release a function",
        _fields(removed=_list(_TEXT), count=_WHOLE),
        body={**_fields(function=_TEXT, strategy=_TEXT), "required": ["function"]},
    ),
    Operation(
        "post",
        "/api/functions/inspect",
        "Signature, docstring, source, parameters and dependencies, from source",
        _fields(
            function=_TEXT,
            kind=_TEXT,
            file=_TEXT,
            line=_WHOLE,
            signature=_TEXT,
            docstring=_TEXT,
            source=_TEXT,
            decorators=_list(_TEXT),
            parameters=_OBJECT,
            dependencies=_OBJECT,
            running=_list(_OBJECT),
        ),
        body={**_fields(function=_TEXT), "required": ["function"]},
    ),
    Operation(
        "get",
        "/api/discovered",
        "Functions that run or stand in the project's source",
        _fields(project_root=_TEXT, functions=_list(_OBJECT), total=_WHOLE, running=_WHOLE, unread=_list(_OBJECT)),
        {"q": _TEXT, "service": _TEXT, **_PAGE},
    ),
    Operation("get", "/api/resolve", "The function that a name means", _fields(function=_TEXT), {"name": _TEXT}),
    Operation(
        "get",
        "/api/metrics",
        "What every function costs; seconds",
        _fields(functions=_list(_FIGURES), total=_WHOLE, summary=_OBJECT, overhead=_OBJECT),
        {"q": _TEXT, "service": _TEXT, "sort": {"type": "string", "enum": list(SORTS)}, **_PAGE},
    ),
    Operation(
        "get",
        "/api/metrics/{function}",
        "What one function costs, with its history; since is in seconds before now",
        _FIGURES,
        {"service": _TEXT, "since": _WHOLE},
    ),
    Operation(
        "get",
        "/api/points",
        "Newest points of other metrics",
        _fields(points=_list(_OBJECT), count=_WHOLE),
        {"metric": _TEXT, "service": _TEXT, "limit": _WHOLE},
    ),
    Operation("get", "/api/hijacked", "Hijacked functions", _fields(hijacked_functions=_list(_HIJACKED), count=_WHOLE)),
    Operation(
        "get",
        "/api/hijacked/{function}",
        "The hijacks of one function",
        _fields(name=_TEXT, hijacks=_list(_HIJACKED), count=_WHOLE),
    ),
    Operation("get", "/api/hijacks", "All hijacks", _fields(version=_WHOLE, hijacks=_list(_HIJACK), count=_WHOLE)),
    *CHANGES,
    *CACHEABILITY,
    *RECORDS,
    Operation(
        "post",
        "/api/hijacks",
        "Add a hijack; with dry_run say what it would do, with 200",
        _HIJACK,
        {"dry_run": _TRUTH},
        body=_HIJACK,
        status=201,
    ),
    Operation("get", "/api/hijacks/{id}", "One hijack and how far it is in force", _HIJACK),
    Operation("get", "/api/hijacks/{id}/impact", "What one hijack has changed, measured; also released", _IMPACT),
    Operation(
        "get",
        "/api/analysis/impact",
        "What each hijack has changed, newest first",
        _fields(impacts=_list(_IMPACT), count=_WHOLE),
        {"function": _TEXT, "service": _TEXT, "limit": _WHOLE},
    ),
    Operation(
        "get",
        "/api/analysis/external",
        "Functions that call out of their process, the longest waiting first; waited in seconds",
        _fields(functions=_list(_EXTERNAL), count=_WHOLE),
        {"q": _TEXT, "service": _TEXT, "stage": _TEXT, "since": _WHOLE},
    ),
    Operation(
        "get",
        "/api/analysis/overhead",
        "What the agent cost over the last seconds, estimated by function; share_of_core 1 is a whole core",
        _fields(
            functions=_list(
                _fields(
                    function=_TEXT,
                    service=_TEXT,
                    strategies=_list(_TEXT),
                    calls_per_second=_NUMBER,
                    per_call=_NUMBER,
                    share_of_core=_NUMBER,
                )
            ),
            count=_WHOLE,
            share_of_core=_NUMBER,
            seconds=_NUMBER,
            uncosted=_list(_TEXT),
            measured=_OBJECT,
        ),
        {"service": _TEXT, "seconds": _WHOLE, "limit": _WHOLE},
    ),
    Operation(
        "post",
        "/api/analysis/external/mock",
        "Answer in place of the function that calls out, in one stage",
        _HIJACK,
        body=_fields(
            function=_TEXT,
            peer=_TEXT,
            stage={"type": "string", "default": "development"},
            service=_TEXT,
            value={},
            yields=_list({}),
            exception=_TEXT,
            message=_TEXT,
            recording=_TEXT,
            owner=_TEXT,
            reason=_TEXT,
            expires_in={"type": ["string", "number"]},
        ),
        status=201,
    ),
    Operation("put", "/api/hijacks/{id}", "Replace a hijack", _HIJACK, {"dry_run": _TRUTH}, body=_HIJACK),
    Operation("delete", "/api/hijacks/{id}", "Remove a hijack", _fields(removed=_HIJACK, version=_WHOLE)),
    Operation(
        "get",
        "/api/traces",
        "Newest traces with a matching span; min_duration in seconds",
        _fields(traces=_list(_fields(**_SPAN_SUMMARY)), count=_WHOLE),
        {"function": _TEXT, "service": _TEXT, "errors": _TRUTH, "min_duration": _NUMBER, "limit": _WHOLE},
    ),
    Operation(
        "get",
        "/api/recordings",
        "What was recorded, by name",
        _fields(recordings=_list(_RECORDING), count=_WHOLE),
    ),
    Operation(
        "get",
        "/api/recordings/{name}",
        "A page of the outcomes of one recording",
        _fields(
            name=_TEXT, captured=_TRUTH, outcomes=_list(_OUTCOME), count=_WHOLE, next={"type": ["integer", "null"]}
        ),
        {"function": _TEXT, "limit": _WHOLE, "after": _WHOLE},
    ),
    Operation("delete", "/api/recordings/{name}", "Forget one recording", _fields(name=_TEXT, removed=_WHOLE)),
    Operation(
        "get",
        "/api/cache/{function}/{key}",
        "One shared cache entry",
        _fields(function=_TEXT, key=_TEXT, value={}, expires_at={"type": ["number", "null"]}),
    ),
    Operation(
        "put",
        "/api/cache/{function}/{key}",
        "Keep a value; without a ttl until there is no room",
        _fields(function=_TEXT, key=_TEXT, stored=_WHOLE, ttl={"type": ["number", "null"]}),
        body={**_fields(value={}, ttl={"type": ["string", "number"]}), "required": ["value"]},
    ),
    Operation(
        "delete",
        "/api/cache/{function}/{key}",
        "Forget one entry",
        _fields(function=_TEXT, key=_TEXT, removed=_TRUTH),
    ),
    Operation("get", "/api/traces/{id}", "One trace", _fields(**_SPAN_SUMMARY, spans=_list(_OBJECT))),
    Operation(
        "get",
        "/api/analysis/flame",
        "Where the time of the newest sampled traces goes: one tree of callers, seconds as the mean of a trace",
        _fields(name=_TEXT, total=_NUMBER, self=_NUMBER, count=_WHOLE, children=_list(_OBJECT), traces=_WHOLE),
        {"function": _TEXT, "service": _TEXT, "limit": _WHOLE},
    ),
    *SERVERS,
    Operation("get", "/openapi.json", "This description", _OBJECT),
)
_INVALID = _fields(error=_fields(field=_TEXT, value=_TEXT, remedy=_TEXT))
_REFUSED = _fields(error=_fields(message=_TEXT, remedy=_TEXT))


async def endpoint(request: Request) -> Response:
    """Answer with the description."""
    return reply(describe())


@cache
def describe() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    keys = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Mystic-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gnosis Mystic collector", "version": VERSION},
        "paths": paths,
        "components": {"securitySchemes": keys},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    in_path = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in in_path]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in (operation.query or {}).items()]
    responses = {
        str(operation.status): {
            "description": "done",
            "content": {operation.result_media: {"schema": operation.result}},
        },
        "422": {"description": "a value is refused", "content": {"application/json": {"schema": _INVALID}}},
        "default": {"description": "refused", "content": {"application/json": {"schema": _REFUSED}}},
    }
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": "_".join([operation.method, *re.findall(r"\w+", operation.path)]),
        "parameters": parameters,
        "responses": responses,
        "security": [{"key": []}, {"bearer": []}, {}] if operation.keyed else [{}],
    }
    if operation.body is not None:
        content = {media: {"schema": operation.body} for media in operation.media}
        described["requestBody"] = {"required": True, "content": content}
    return described
