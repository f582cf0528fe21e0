"""OTLP/JSON → the same messages as protobuf: ids are hexadecimal there, base64 in protobuf's own JSON."""

from __future__ import annotations

import base64
from typing import Any, TypeVar

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from mystic_collector.otlp.refused import RefusedError

_M = TypeVar("_M", bound=Message)
_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def read_json(body: bytes, empty: _M) -> _M:
    """Fill ``empty`` from an OTLP/JSON body; unknown fields are ignored as the specification asks.

    Raises:
        RefusedError: 400 when the body is not such a message.
    """
    try:
        value = orjson.loads(body)
        if not isinstance(value, dict):
            raise RefusedError(400, "the body is not a JSON object")
        _turn_ids(value)
        return json_format.ParseDict(value, empty, ignore_unknown_fields=True)
    except (ValueError, TypeError, json_format.ParseError, RecursionError) as error:
        raise RefusedError(400, f"the body is not OTLP/JSON: {str(error)[:200]}") from error


def _turn_ids(root: dict[str, Any]) -> None:
    """Turn hexadecimal ids into base64 wherever they stand; iterative, because depth is the sender's choice."""
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            for name in _IDS:
                if name in node:
                    node[name] = base64.b64encode(bytes.fromhex(node[name])).decode()
            waiting.extend(one for one in node.values() if isinstance(one, (dict, list)))
        elif isinstance(node, list):
            waiting.extend(one for one in node if isinstance(one, (dict, list)))
