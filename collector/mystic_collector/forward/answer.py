"""What a receiver's answer means, as the OTLP/HTTP specification has it; pure."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

TAKEN, LATER, NEVER = "taken", "later", "never"
_LATER = frozenset((429, 502, 503, 504))
_LONGEST_PAUSE = 3600.0
_REPLIES: dict[str, Any] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    Attributes:
        verdict: ``taken``; ``later``: send it again; ``never``: sending it again would not help.
        reason: why it was not, or not wholly, taken; without anything the receiver wrote.
        pause: seconds the receiver asks to wait.
        rejected: items of a taken request that the receiver did not want.
        splits: a smaller request may be taken.
        status: of HTTP; 0 when there was no answer.
    """

    verdict: str
    reason: str = ""
    pause: float = 0.0
    rejected: int = 0
    splits: bool = False
    status: int = 0


def judge(signal: str, status: int, retry_after: str, body: bytes, now: float) -> Answer:
    """Return what an answer means.

    Args:
        retry_after: the header, seconds or a date; empty for none.
        now: Unix seconds.
    """
    if 200 <= status < 300:
        rejected = _rejected(signal, body)
        return Answer(TAKEN, f"it did not want {rejected} items" if rejected else "", rejected=rejected)
    if status in _LATER:
        return Answer(LATER, f"it answered {status}", pause=_pause(retry_after, now))
    return Answer(NEVER, f"it answered {status}", splits=status in (400, 413), status=status)


def _rejected(signal: str, body: bytes) -> int:
    kind, name = _REPLIES[signal]
    try:
        return max(0, int(getattr(kind.FromString(body).partial_success, name)))
    except DecodeError:
        return 0  # such as an answer in JSON: it was taken all the same


def _pause(text: str, now: float) -> float:
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_PAUSE)
    try:
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - now), _LONGEST_PAUSE)
    except (ValueError, TypeError):
        return 0.0
