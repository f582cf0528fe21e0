"""OTLP attributes and resources as plain values and JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import orjson
from mystic_agent.contract.wire import INSTANCE_ID, SERVICE_NAME, STAGE
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage

from mystic_collector.store.records import Resource

UNKNOWN_SERVICE = "unknown_service"
LONGEST_NAME = 1000


def value_of(value: AnyValue) -> Any:
    """Return the plain value; bytes become base64 text, an absent value None."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: value_of(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def to_dict(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Return attributes as a dict; of a repeated key the last counts."""
    return {one.key: value_of(one.value) for one in attributes}


def to_json(value: Any) -> str:
    """Return ``value`` as JSON text; NaN and infinity become null."""
    return orjson.dumps(value).decode()


def resource_of(message: ResourceMessage) -> Resource:
    """Return who speaks."""
    attributes = to_dict(message.attributes)
    service, instance, stage = (_text(attributes.get(name)) for name in (SERVICE_NAME, INSTANCE_ID, STAGE))
    return Resource(service or UNKNOWN_SERVICE, instance, stage, to_json(attributes))


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""
