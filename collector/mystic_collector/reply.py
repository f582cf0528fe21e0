"""Replies as JSON, and the one shape of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.ingest.body import inflate, read_body
from mystic_collector.otlp.refused import RefusedError

MOST_JSON_BYTES = 2**20
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

    Raises:
        Invalid: when the body is not one.
        HTTPException: 413 when it has more than ``most_bytes``, 408 when it comes too slowly.
    """
    try:
        body = await read_body(request, most_bytes, PATIENCE)
        body = inflate(body, request.headers.get("content-encoding", "").strip().lower(), most_bytes)
        value = orjson.loads(body or b"{}")
    except RefusedError as error:
        raise HTTPException(error.status, error.message) from error
    except orjson.JSONDecodeError as error:
        raise Invalid("body", body[:60], f"send a JSON object ({error})") from error
    if not isinstance(value, dict):
        raise Invalid("body", type(value).__name__, "send a JSON object")
    return value


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
