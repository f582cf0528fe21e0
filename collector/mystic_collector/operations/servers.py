"""Routes of managed MCP servers."""

from __future__ import annotations

from mystic_collector.operations.operation import NUMBER, OBJECT, TEXT, TRUTH, WHOLE, Operation, fields, list_of

_SPEC = {
    "type": "object",
    "required": ["name", "server_type"],
    "properties": {
        "name": {"type": "string", "description": "1 to 40 of a-z, 0-9 and -"},
        "server_type": {"enum": ["archon", "npx", "uv", "python", "docker"]},
        "package": {"type": "string", "description": "of npm or PyPI: a name, with a version if wanted"},
        "image": {"type": "string", "description": "to run it in; the runner image of its type by default"},
        "command": {"type": "array", "items": TEXT, "description": "argv; no shell reads it"},
        "args": list_of(TEXT),
        "env": {"type": "object", "additionalProperties": TEXT},
        "secrets": list_of(fields(env=TEXT, secret=TEXT, key=TEXT)),
        "transport": {"enum": ["stdio", "http", "sse"]},
        "port": WHOLE,
        "path": TEXT,
        "timeout": {"type": "number", "description": "seconds until it must be ready"},
        "network": {"enum": ["outbound", "none"]},
        "idle": NUMBER,
        "limits": fields(cpu=TEXT, memory=TEXT, cpu_request=TEXT, memory_request=TEXT, processes=WHOLE),
        "placement": fields(context=TEXT, node_selector=OBJECT, tolerations=list_of(OBJECT), affinity=OBJECT),
    },
}
_SERVER = fields(
    name=TEXT,
    state={"enum": ["starting", "running", "stopped", "failed"]},
    mode=TEXT,
    detail={"type": "string", "description": "what it is doing, or why it failed"},
    remedy=TEXT,
    identity=TEXT,
    engine_state=TEXT,
    created_at=NUMBER,
    started_at=NUMBER,
    uptime={"type": ["number", "null"], "description": "seconds"},
    restarts=WHOLE,
    cause={"type": "string", "description": "of a failure, in one word"},
    progress={"type": ["number", "null"], "description": "0 to 1 while an image is pulled"},
    path={"type": "string", "description": "where MCP clients find it"},
    facts=OBJECT,
    spec=_SPEC,
)
_LISTED = fields(
    **_SERVER["properties"],
    figures=fields(sessions=WHOLE, calls=WHOLE, errors=WHOLE, average={"type": ["number", "null"]}),
)
_METRIC = fields(metric=TEXT, unit=TEXT, attributes=OBJECT, value=NUMBER, count=WHOLE)
_STATUS = fields(**_SERVER["properties"], status=TEXT, container_status=TEXT, deployment_mode=TEXT, logs=list_of(TEXT))
_LINE = fields(time=NUMBER, stream={"enum": ["stdout", "stderr"]}, text=TEXT)
_LOGS = fields(name=TEXT, logs=list_of(_LINE), count=WHOLE)
_CLEARED = fields(name=TEXT, cleared_at=NUMBER)
_SOME = {"tail": WHOLE, "limit": WHOLE, "since": NUMBER}
_NAME = {"name": {"type": "string", "default": "archon"}}
_NAMED = fields(**_NAME)
_STREAM = "text/event-stream"
_ONE = "/api/mcp/servers/{name}"
_START = {**_SPEC, "required": []}

SERVERS = (
    Operation("post", "/api/mcp/start", "Start the main server", _SERVER, body=_START, status=202),
    Operation("post", "/api/mcp/stop", "Stop the main server", _SERVER, body=_NAMED),
    Operation("post", "/api/mcp/restart", "Begin the main server anew", _SERVER, body=_NAMED, status=202),
    Operation("get", "/api/mcp/status", "The main server, also when there is none", _STATUS, _NAME),
    Operation("get", "/api/mcp/logs", "Newest lines of the main server", _LOGS, {**_NAME, **_SOME}),
    Operation("delete", "/api/mcp/logs", "Forget what it has written until now", _CLEARED, _NAME),
    Operation(
        "get",
        "/api/mcp/logs/stream",
        "Its lines as they are written; a WebSocket at the same path has them, too",
        _LINE,
        {**_NAME, **_SOME},
        result_media=_STREAM,
    ),
    Operation("get", "/api/mcp/config", "What was set for managed servers", OBJECT),
    Operation(
        "get",
        "/api/mcp/health",
        "Whether servers can be run, and by what",
        fields(healthy=TRUTH, mode=TEXT, reason=TEXT, remedy=TEXT),
    ),
    Operation(
        "get",
        "/api/mcp/registry",
        "Servers that can be started by name; q searches",
        fields(templates=list_of(OBJECT), count=WHOLE),
        {"q": TEXT},
    ),
    Operation(
        "get",
        "/api/mcp/metrics",
        "What was counted about servers since the collector's start",
        fields(metrics=list_of(_METRIC), count=WHOLE),
    ),
    Operation("get", "/api/mcp/servers", "All managed servers", fields(servers=list_of(_LISTED), count=WHOLE)),
    Operation("post", "/api/mcp/servers", "Start a server; it goes on behind", _SERVER, body=_START, status=202),
    Operation("get", _ONE, "One server; wait is seconds until it no longer starts", _SERVER, {"wait": WHOLE}),
    Operation("delete", _ONE, "Stop a server and take it away", _SERVER),
    Operation("post", f"{_ONE}/restart", "Begin a server anew", _SERVER, status=202),
    Operation("get", f"{_ONE}/logs", "Newest lines of a server, oldest first", _LOGS, _SOME),
    Operation("delete", f"{_ONE}/logs", "Forget what it has written until now", _CLEARED),
    Operation("get", f"{_ONE}/logs/stream", "Its lines as they are written", _LINE, _SOME, result_media=_STREAM),
    Operation(
        "get",
        f"{_ONE}/health",
        "Whether a server runs and answers, asked over MCP",
        fields(name=TEXT, state=TEXT, healthy=TRUTH, server_info=OBJECT, reason=TEXT, remedy=TEXT),
    ),
    Operation("get", f"{_ONE}/tools", "The tools of a server", fields(name=TEXT, tools=list_of(OBJECT), count=WHOLE)),
    Operation(
        "post",
        f"{_ONE}/execute",
        "Call a tool of a server; the result is as MCP has it",
        fields(content=list_of(OBJECT), structuredContent=OBJECT, isError=TRUTH),
        body={**fields(tool=TEXT, arguments=OBJECT), "required": ["tool"]},
    ),
)
