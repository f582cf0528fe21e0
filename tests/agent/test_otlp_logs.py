"""Events on the wire, read back with the official OpenTelemetry messages."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from mystic_agent import __version__
from mystic_agent.otlp import encode_logs, encode_resource
from mystic_agent.records import Event
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

ANY_TEXT = st.text(st.characters(), max_size=300)  # lone surrogates included
EVENTS = st.builds(
    Event,
    name=ANY_TEXT,
    time_ns=st.integers(0, 2**64 - 1),
    body=ANY_TEXT,
    severity=st.integers(1, 24),
    trace_id=st.just(b"t" * 16),
    span_id=st.just(b"s" * 8),
    attributes=st.lists(st.tuples(ANY_TEXT, st.one_of(ANY_TEXT, st.booleans(), st.integers(-(2**62), 2**62)))).map(
        tuple
    ),
)


def records(body: bytes) -> list[LogRecord]:
    [group] = ExportLogsServiceRequest.FromString(body).resource_logs
    [scope] = group.scope_logs
    assert (scope.scope.name, scope.scope.version) == ("mystic_agent", __version__)
    return list(scope.log_records)


def as_sent(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@settings(deadline=None)  # the machine may be busy
@given(st.lists(EVENTS, max_size=4))
def test_every_event_is_a_log_record_that_the_official_classes_read(events: list[Event]) -> None:
    sent = records(encode_logs(b"", events))

    assert len(sent) == len(events)
    for record, event in zip(sent, events, strict=True):
        assert (record.event_name, record.body.string_value) == (as_sent(event.name), as_sent(event.body))
        assert record.time_unix_nano == record.observed_time_unix_nano == event.time_ns
        assert record.severity_number == event.severity
        named = SeverityNumber.Name(event.severity).removeprefix("SEVERITY_NUMBER_")
        assert record.severity_text == named.rstrip("234")
        assert (record.trace_id, record.span_id) == (event.trace_id, event.span_id)
        values = [getattr(one.value, one.value.WhichOneof("value")) for one in record.attributes]
        assert values == [as_sent(v) if isinstance(v, str) else v for _, v in event.attributes]


def test_an_event_outside_of_a_trace_has_no_ids_and_the_resource_is_the_processs() -> None:
    body = encode_logs(encode_resource((("service.name", "shop"),)), [Event("mystic.log", 5)])

    [record] = records(body)
    assert (record.trace_id, record.span_id, record.HasField("body")) == (b"", b"", False)
    [group] = ExportLogsServiceRequest.FromString(body).resource_logs
    assert group.resource.attributes[0].value.string_value == "shop"
