"""Spans of a process that has no store, sent to the collector that it works for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import httpx
from mystic_agent.contract.wire import TRACES_PATH

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_log = logging.getLogger("mystic_collector.tracing")
_PATIENCE = 2.0
_TYPE = {"Content-Type": "application/x-protobuf"}


def posted(address: str, headers: Callable[[], Mapping[str, str]]) -> Callable[[ExportTraceServiceRequest], None]:
    """Return what sends an OTLP request to a collector, once: what it does not take is lost, and nothing else with it.

    Args:
        address: of the collector, ``http://127.0.0.1:8899``.
        headers: by which it knows us, asked for at each request.
    """

    def post(message: ExportTraceServiceRequest) -> None:
        body, url = message.SerializeToString(), f"{address}{TRACES_PATH}"
        try:
            # Proxies of the environment are for the outside; a connection of its own, since this is seldom.
            with httpx.Client(trust_env=False, timeout=_PATIENCE) as client:
                client.post(url, content=body, headers={**_TYPE, **headers()}).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            _log.info("%s did not take our part of a trace (%s)", address, type(error).__name__)

    return post
