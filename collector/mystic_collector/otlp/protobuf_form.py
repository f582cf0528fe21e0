"""OTLP in protobuf → messages."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from mystic_collector.otlp.refused import RefusedError

_M = TypeVar("_M", bound=Message)


def read_protobuf(body: bytes, empty: _M) -> _M:
    """Fill ``empty`` from a body in protobuf.

    Raises:
        RefusedError: 400 when the body is not such a message.
    """
    try:
        empty.ParseFromString(body)
    except DecodeError as error:
        raise RefusedError(400, f"the body is not an {type(empty).__name__} ({error})") from error
    return empty
