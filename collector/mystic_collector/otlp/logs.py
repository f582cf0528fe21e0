"""Log requests read in full: they are few, and every one of them is to be found again."""

from __future__ import annotations

from mystic_agent.contract.wire import FUNCTION
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from mystic_collector.otlp.attributes import LONGEST_NAME, resource_of, to_dict, to_json, value_of
from mystic_collector.otlp.spans import Decoded
from mystic_collector.store.log_records import LogRow
from mystic_collector.store.records import LARGEST, Incoming

LONGEST_BODY = 64 * 1024
LONGEST_ATTRIBUTES = 256 * 1024
_EVENT_NAME = "event.name"  # where SDKs put it before log records had a field for it
_WHY = "times must fit 63 bits"


def read_logs(message: ExportLogsServiceRequest) -> Decoded:
    """Read a message; records with impossible times are rejected one by one."""
    taken: list[Incoming] = []
    rejected = 0
    for group in message.resource_logs:
        records = [record for scope in group.scope_logs for record in scope.log_records]
        sound = [record for record in records if _time(record) <= LARGEST]
        rejected += len(records) - len(sound)
        if sound:
            taken.append(Incoming(resource_of(group.resource), logs=[_row(record) for record in sound]))
    return taken, rejected, _WHY if rejected else ""


def _time(record: LogRecord) -> int:
    return record.time_unix_nano or record.observed_time_unix_nano


def _row(record: LogRecord) -> LogRow:
    attributes = to_dict(record.attributes)
    function, named = attributes.get(FUNCTION), attributes.get(_EVENT_NAME)
    event = record.event_name or (named if isinstance(named, str) else "")
    shown = to_json(attributes)
    if len(shown) > LONGEST_ATTRIBUTES:
        shown = to_json({FUNCTION: function, "mystic.left_out": f"attributes of {len(shown)} characters"})
    ids = len(record.trace_id) == 16 and any(record.trace_id) and len(record.span_id) in (0, 8)
    return LogRow(
        time_ns=_time(record),
        event=event[:LONGEST_NAME],
        function=function[:LONGEST_NAME] if isinstance(function, str) else "",
        severity=max(0, record.severity_number),
        trace_id=record.trace_id if ids else b"",
        span_id=record.span_id if ids else b"",
        body=_text(record.body)[:LONGEST_BODY],
        attributes=shown,
    )


def _text(body: AnyValue) -> str:
    value = value_of(body)
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)
