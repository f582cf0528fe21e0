"""``POST /v1/traces``, ``/v1/metrics`` and ``/v1/logs``, as the OTLP/HTTP specification has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.forward.forward import Forward
from mystic_collector.forward.sender import VIA_HEADER
from mystic_collector.ingest.body import inflate, read_body
from mystic_collector.ingest.writer import Writer
from mystic_collector.otlp.json_form import read_json
from mystic_collector.otlp.logs import read_logs
from mystic_collector.otlp.points import read_points
from mystic_collector.otlp.protobuf_form import read_protobuf
from mystic_collector.otlp.refused import RefusedError
from mystic_collector.otlp.spans import Decoded, read_spans
from mystic_collector.settings import Settings

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_Read = tuple[Decoded, bytes]
"""What was read, and the request in protobuf."""

_SMALL = {"": 512 * 1024, "gzip": 64 * 1024}
_RETRY_SECONDS = "1"
# google.rpc.Code for the statuses given here, for the Status message of an error reply.
_CODES = {400: 3, 408: 4, 413: 8, 415: 3, 429: 8, 503: 14}


class _Signal(NamedTuple):
    """One kind of telemetry.

    Attributes:
        rejected: the field of the reply's partial success that counts what was not taken.
        read: what is taken of a request.
    """

    name: str
    request: Callable[[], Message]
    response: Callable[..., Message]
    rejected: str
    read: Callable[[Any], Decoded]


_TRACES = _Signal("traces", ExportTraceServiceRequest, ExportTraceServiceResponse, "rejected_spans", read_spans)
_METRICS = _Signal(
    "metrics", ExportMetricsServiceRequest, ExportMetricsServiceResponse, "rejected_data_points", read_points
)
_LOGS = _Signal("logs", ExportLogsServiceRequest, ExportLogsServiceResponse, "rejected_log_records", read_logs)


class Ingest:
    """The endpoints over one writer.

    Args:
        settings: limits in bytes and seconds.
        writer: where decoded batches go; the reply is 429 when it is full.
        forward: who is sent what was taken, as it came.
    """

    def __init__(self, settings: Settings, writer: Writer, forward: Forward) -> None:
        self._settings = settings
        self._writer = writer
        self._forward = forward
        self._large = asyncio.Lock()

    async def traces(self, request: Request) -> Response:
        """Take spans."""
        return await self._serve(request, _TRACES)

    async def metrics(self, request: Request) -> Response:
        """Take metric points."""
        return await self._serve(request, _METRICS)

    async def logs(self, request: Request) -> Response:
        """Take log records, events among them."""
        return await self._serve(request, _LOGS)

    async def _serve(self, request: Request, signal: _Signal) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "").strip().lower()
        try:
            if kind not in (PROTOBUF, JSON):
                raise RefusedError(415, f"content-type {kind[:60]!r} is not known; send {PROTOBUF} or {JSON}")
            body = await read_body(request, self._settings.max_body_bytes, self._settings.body_timeout)
            if kind == PROTOBUF and len(body) <= _SMALL.get(encoding, 0):
                (taken, rejected, why), sent = self._decode(signal, body, encoding, kind)
            else:
                # What takes long must not hold up the loop: health and the streams stay live. One at a time,
                # because a body of tiny messages needs many times its size in memory.
                async with self._large:
                    (taken, rejected, why), sent = await run_in_threadpool(self._decode, signal, body, encoding, kind)
            if not self._writer.offer(taken):
                raise RefusedError(429, "the collector is writing as fast as it can; send again later")
            via = request.headers.get(VIA_HEADER, "")
            self._forward.offer(signal.name, sent, sum(one.items for one in taken) + rejected, via)
        except RefusedError as refused:
            return _refusal(refused, kind)
        return _success(_answer(signal, rejected, why), kind)

    def _decode(self, signal: _Signal, body: bytes, encoding: str, kind: str) -> _Read:
        body = inflate(body, encoding, self._settings.max_inflated_bytes)
        if kind == JSON:
            message = read_json(body, signal.request())
            return signal.read(message), message.SerializeToString()
        return signal.read(read_protobuf(body, signal.request())), body


def _answer(signal: _Signal, rejected: int, why: str) -> Message:
    return signal.response(partial_success={signal.rejected: rejected, "error_message": why} if rejected else None)


def _success(message: Message, kind: str) -> Response:
    if kind == PROTOBUF:
        return Response(message.SerializeToString(), media_type=PROTOBUF)
    from google.protobuf.json_format import MessageToDict

    return Response(orjson.dumps(MessageToDict(message)), media_type=JSON)


def _refusal(refused: RefusedError, kind: str) -> Response:
    """Answer with a ``google.rpc.Status`` in the encoding of the request."""
    headers = {"Retry-After": _RETRY_SECONDS} if refused.status in (429, 503) else {}
    if refused.status in (408, 413):
        headers["Connection"] = "close"
    code = _CODES.get(refused.status, 2)
    if kind != PROTOBUF:
        body = orjson.dumps({"code": code, "message": refused.message})
        return Response(body, refused.status, headers, JSON)
    text = refused.message.encode()[:2000]
    size = bytes((len(text),)) if len(text) < 128 else bytes((len(text) & 127 | 128, len(text) >> 7))
    return Response(bytes((8, code, 18)) + size + text, refused.status, headers, PROTOBUF)
