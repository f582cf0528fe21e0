"""Replies as JSON, and the one shape of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.ingest.body import inflate, read_body
from mystic_collector.otlp.refused import RefusedError

MOST_JSON_BYTES = 2**20
MOST_DEPTH = 40
"""Of what is sent; far below the 254 levels that can be answered again inside something else."""

# What is left of a body that is refused is not read: the connection is of no further use.
_HEADERS = {408: {"Connection": "close"}, 413: {"Connection": "close"}, 429: {"Retry-After": "1"}}
_SMALL = 64 * 1024
"""Bytes read on the event loop; what takes longer must not hold up health and the streams."""

_MOST_SECONDS = 9e9
PATIENCE = 15.0
"""Seconds a client may take to send a body."""


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``value`` as JSON; NaN and infinity become null, foreign scalars text."""
    return Response(
        orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS), status, headers, "application/json"
    )


def refusal(status: int, message: str, remedy: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """Return ``{"error": {"message", "remedy"}}`` with ``status``."""
    return reply({"error": {"message": message, "remedy": remedy}}, status, headers)


async def invalid(request: Request, error: Exception) -> Response:
    """Answer 422 with ``{"error": {"field", "value", "remedy"}}``."""
    return reply({"error": error.to_json()} if isinstance(error, Invalid) else {}, 422)


async def http_error(request: Request, error: Exception) -> Response:
    """Answer what a route or the router refused."""
    if not isinstance(error, HTTPException):
        return refusal(500, "the collector failed", "see its log")
    return refusal(error.status_code, str(error.detail), headers=error.headers)


async def unavailable(request: Request, error: Exception) -> Response:
    """Answer 503 when the store cannot keep or read something."""
    return refusal(503, str(error), headers={"Retry-After": "5"})


async def crashed(request: Request, error: Exception) -> Response:
    """Answer 500 without the error's text, which may hold captured data; the log has the traceback."""
    return refusal(500, "the collector failed", "see its log")


async def read_object(request: Request, most_bytes: int = MOST_JSON_BYTES) -> dict[str, Any]:
    """Return the request's JSON object, which may be compressed with gzip.

    Args:
        most_bytes: of the body as sent, and again after decompression.

    Raises:
        Invalid: when the body is JSON and not an object.
        HTTPException: 400 when it is not JSON or nested too deeply, 408 when it comes too slowly, 413 when it is
            too large, 415 when its encoding is unknown.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    try:
        body = await read_body(request, most_bytes, PATIENCE)
        if len(body) <= _SMALL and not encoding:
            value = _parse(body)
        else:
            value = await run_in_threadpool(lambda: _parse(inflate(body, encoding, most_bytes)))
    except RefusedError as error:
        raise HTTPException(error.status, error.message, _HEADERS.get(error.status)) from error
    if not isinstance(value, dict):
        raise Invalid("body", type(value).__name__, "send a JSON object")
    return value


def _parse(body: bytes) -> Any:
    """Return the JSON in ``body``; nothing counts as an empty object.

    Raises:
        RefusedError: 400 when it is none, or nested more deeply than what is answered may be.
    """
    try:
        value = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise RefusedError(400, f"the body is not JSON ({error}); send a JSON object") from error
    level = [value]
    for _ in range(MOST_DEPTH):
        boxes = [one for one in level if isinstance(one, dict | list)]
        if not boxes:
            return value
        level = [one for box in boxes for one in (box.values() if isinstance(box, dict) else box)]
    raise RefusedError(400, f"the body is nested more than {MOST_DEPTH} deep; send a flatter object")


def number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """Return a whole-number query parameter.

    Raises:
        Invalid: when it is not a number from ``low`` to ``high``.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise Invalid(name, text, f"give a whole number from {low} to {high}")


def seconds(request: Request, name: str) -> float:
    """Return a query parameter in seconds, since 1970 or of a duration; 0 when absent.

    Raises:
        Invalid: when it is none, or their nanoseconds are more than 64 bits hold.
    """
    text = request.query_params.get(name, "")
    try:
        found = float(text or 0)
    except ValueError:
        found = -1.0
    if not 0 <= found <= _MOST_SECONDS:
        raise Invalid(name, text, "give seconds, e.g. 0.25")
    return found


def flag(request: Request, name: str) -> bool:
    """Return a true/false query parameter, false when absent.

    Raises:
        Invalid: when it is neither.
    """
    text = request.query_params.get(name, "").lower()
    if text in ("", "false", "0", "no"):
        return False
    if text in ("true", "1", "yes"):
        return True
    raise Invalid(name, text, "give true or false")
