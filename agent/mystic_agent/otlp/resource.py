"""Who is speaking: the OTLP ``Resource`` of this process, and our instrumentation scope."""

from __future__ import annotations

from collections.abc import Iterable

from mystic_agent import __version__
from mystic_agent.contract.wire import SCOPE
from mystic_agent.otlp.attributes import encode_attributes
from mystic_agent.otlp.protobuf import delimited, utf8
from mystic_agent.records import Attribute


def encode_resource(attributes: Iterable[Attribute]) -> bytes:
    """Return a ``Resource`` message, to be handed to :func:`encode_spans` and :func:`encode_metrics`."""
    return encode_attributes(1, attributes)


def wrap(resource: bytes, entries: bytes) -> bytes:
    """Return a whole export request around ``entries``.

    Traces, metrics and logs nest alike: request{1: resource{1: Resource, 2: scope{1: Scope, 2: entry…}}}.

    Args:
        resource: a ``Resource`` message.
        entries: spans, metrics or log records, each already as field 2.
    """
    return delimited(1, delimited(1, resource) + delimited(2, _SCOPE + entries))


_SCOPE = delimited(1, delimited(1, utf8(SCOPE)) + delimited(2, utf8(__version__)))
