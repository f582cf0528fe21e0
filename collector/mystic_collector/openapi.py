"""``/openapi.json``: every route described, in one table that a test compares with the routes."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.operations.agents import AGENTS
from mystic_collector.operations.analysis import ANALYSIS
from mystic_collector.operations.cacheability import CACHEABILITY
from mystic_collector.operations.changes import CHANGES
from mystic_collector.operations.collector import COLLECTOR
from mystic_collector.operations.functions import FUNCTIONS
from mystic_collector.operations.hijacks import HIJACKS
from mystic_collector.operations.kept import KEPT
from mystic_collector.operations.operation import TEXT, Operation, fields
from mystic_collector.operations.page import PAGE
from mystic_collector.operations.records import RECORDS
from mystic_collector.operations.servers import SERVERS
from mystic_collector.operations.telemetry import TELEMETRY
from mystic_collector.reply import reply
from mystic_collector.version import VERSION

OPERATIONS = (
    *COLLECTOR,
    *TELEMETRY,
    *AGENTS,
    *FUNCTIONS,
    *HIJACKS,
    *CHANGES,
    *CACHEABILITY,
    *ANALYSIS,
    *RECORDS,
    *KEPT,
    *SERVERS,
    *PAGE,
)
_INVALID = fields(error=fields(field=TEXT, value=TEXT, remedy=TEXT))
_REFUSED = fields(error=fields(message=TEXT, remedy=TEXT))


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
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in in_path]
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
