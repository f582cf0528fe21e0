"""OTLP attributes as JSON, remembered by their bytes: the same few pairs come back millions of times."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from mystic_agent.contract.wire import FUNCTION, INSTANCE_ID, SERVICE_NAME, STAGE
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage

from mystic_collector.store.records import Resource

UNKNOWN_SERVICE = "unknown_service"
LONGEST_NAME = 1000
_MOST = 50_000
_LONGEST_REMEMBERED = 400


class Pair(NamedTuple):
    """One attribute: ``"key":value`` as JSON, or, for ``mystic.function``, the function's name."""

    json: str
    function: str


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


def pair_of(attribute: KeyValue) -> Pair:
    """Return one attribute ready to be joined into an object."""
    if attribute.key == FUNCTION and attribute.value.string_value:
        return Pair("", attribute.value.string_value[:LONGEST_NAME])
    return Pair(to_json({attribute.key: value_of(attribute.value)})[1:-1], "")


def resource_of(message: ResourceMessage) -> Resource:
    """Return who speaks."""
    attributes = to_dict(message.attributes)
    service, instance, stage = (_text(attributes.get(name)) for name in (SERVICE_NAME, INSTANCE_ID, STAGE))
    return Resource(service or UNKNOWN_SERVICE, instance, stage, to_json(attributes))


def _text(value: Any) -> str:
    return value[:200] if isinstance(value, str) else ""


class Memo:
    """Attributes, names and resources by their encoded bytes; bounded, emptied when full."""

    def __init__(self) -> None:
        self.pairs: dict[bytes, Pair] = {}
        self.names: dict[bytes, str] = {}
        self.resources: dict[bytes, Resource] = {}

    def pair(self, encoded: bytes) -> Pair:
        """Decode and remember one KeyValue."""
        pair = pair_of(KeyValue.FromString(encoded))
        _remember(self.pairs, encoded, pair)
        return pair

    def name(self, encoded: bytes) -> str:
        """Decode and remember one span name."""
        name = encoded.decode()[:LONGEST_NAME]
        _remember(self.names, encoded, name)
        return name

    def resource(self, encoded: bytes) -> Resource:
        """Decode and remember one Resource."""
        known = self.resources.get(encoded)
        if known is None:
            known = resource_of(ResourceMessage.FromString(encoded))
            _remember(self.resources, encoded, known, longest=8192)
        return known


def _remember(memo: dict[bytes, Any], key: bytes, value: Any, longest: int = _LONGEST_REMEMBERED) -> None:
    if len(key) <= longest:
        if len(memo) >= _MOST:
            memo.clear()
        memo[key] = value
