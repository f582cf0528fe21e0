"""Spans on the wire, read back with the official OpenTelemetry messages."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from mystic_agent import __version__
from mystic_agent.otlp import encode_resource, encode_spans
from mystic_agent.otlp import spans as spans_module
from mystic_agent.records import SpanRecord
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official_encode
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from opentelemetry.trace import Status as SdkStatus

ANY_TEXT = st.text(st.characters(), max_size=40)  # lone surrogates included
VALID_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
NANOSECONDS = st.integers(0, 2**64 - 1)
VALUES = st.one_of(
    ANY_TEXT, st.booleans(), st.integers(-(2**70), 2**70), st.integers(), st.floats(allow_nan=True, allow_infinity=True)
)


def records(text: st.SearchStrategy[str], values: st.SearchStrategy) -> st.SearchStrategy[SpanRecord]:
    return st.builds(
        SpanRecord,
        function=text,
        trace_id=st.binary(min_size=16, max_size=16),
        span_id=st.binary(min_size=8, max_size=8),
        parent_id=st.one_of(st.just(b""), st.binary(min_size=8, max_size=8)),
        start_ns=NANOSECONDS,
        end_ns=NANOSECONDS,
        error=st.one_of(st.none(), st.tuples(text, text)),
        attributes=st.lists(st.tuples(text, values), max_size=5).map(tuple),
    )


def decode(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(body)


def only_spans(body: bytes) -> list[Span]:
    [resource_spans] = decode(body).resource_spans
    [scope_spans] = resource_spans.scope_spans
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("mystic_agent", __version__)
    return list(scope_spans.spans)


def as_sent(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def expect_value(sent: AnyValue, value: object) -> None:
    if isinstance(value, bool):
        assert (sent.WhichOneof("value"), sent.bool_value) == ("bool_value", value)
    elif isinstance(value, str):
        assert (sent.WhichOneof("value"), sent.string_value) == ("string_value", as_sent(value))
    elif isinstance(value, float):
        assert sent.WhichOneof("value") == "double_value"
        assert sent.double_value == value or (math.isnan(value) and math.isnan(sent.double_value))
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        assert (sent.WhichOneof("value"), sent.int_value) == ("int_value", value)
    else:
        assert (sent.WhichOneof("value"), sent.string_value) == ("string_value", str(value))


def expect_attributes(sent: list[KeyValue], wanted: list[tuple[str, object]]) -> None:
    assert [pair.key for pair in sent] == [as_sent(key) for key, _ in wanted]
    for pair, (_, value) in zip(sent, wanted, strict=True):
        expect_value(pair.value, value)


@given(st.lists(records(ANY_TEXT, VALUES), max_size=4))
def test_every_field_of_every_span_is_read_back_by_the_official_message(given_records: list[SpanRecord]) -> None:
    sent = only_spans(encode_spans(b"", given_records))

    assert len(sent) == len(given_records)
    for span, record in zip(sent, given_records, strict=True):
        dotted = record.function.replace(":", ".", 1)
        assert span.name == as_sent(dotted)
        assert span.kind == Span.SPAN_KIND_INTERNAL
        assert (span.trace_id, span.span_id, span.parent_span_id) == record[1:4]
        assert (span.start_time_unix_nano, span.end_time_unix_nano) == (record.start_ns, record.end_ns)
        expect_attributes(
            list(span.attributes),
            [("code.function.name", dotted), ("mystic.function", record.function), *record.attributes],
        )
        if record.error is None:
            assert span.status.code == Status.STATUS_CODE_UNSET
            assert not span.events
            continue
        kind, message = record.error
        assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, as_sent(f"{kind}: {message}"))
        [event] = span.events
        assert (event.name, event.time_unix_nano) == ("exception", record.end_ns)
        expect_attributes(list(event.attributes), [("exception.type", kind), ("exception.message", message)])


def sdk_twin(record: SpanRecord, resource: Resource) -> ReadableSpan:
    dotted = record.function.replace(":", ".", 1)
    trace = int.from_bytes(record.trace_id)

    def context(span_id: bytes) -> SpanContext:
        return SpanContext(trace, int.from_bytes(span_id), is_remote=False)

    events: list[Event] = []
    status = SdkStatus()
    if record.error:
        kind, message = record.error
        events = [Event("exception", {"exception.type": kind, "exception.message": message}, record.end_ns)]
        status = SdkStatus(StatusCode.ERROR, f"{kind}: {message}")
    return ReadableSpan(
        dotted,
        context=context(record.span_id),
        parent=context(record.parent_id) if record.parent_id else None,
        resource=resource,
        attributes={"code.function.name": dotted, "mystic.function": record.function, **dict(record.attributes)},
        events=events,
        kind=SpanKind.INTERNAL,
        status=status,
        start_time=record.start_ns,
        end_time=record.end_ns,
        instrumentation_scope=InstrumentationScope("mystic_agent", __version__),
    )


@given(
    st.lists(
        records(
            VALID_TEXT, st.one_of(VALID_TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(width=32))
        ),
        min_size=1,
        max_size=3,
    )
)
def test_the_official_encoder_makes_an_equal_message_of_equal_content(given_records: list[SpanRecord]) -> None:
    unique = [r._replace(attributes=tuple({f"x.{k}": v for k, v in r.attributes}.items())) for r in given_records]
    unique = [r for r in unique if r == r and not any(v != v for _, v in r.attributes)]  # NaN equals nothing
    attributes = (("service.name", "shop"), ("process.pid", 4))
    ours = decode(encode_spans(encode_resource(attributes), unique))
    theirs = official_encode([sdk_twin(record, Resource(dict(attributes))) for record in unique])

    for resource_spans in theirs.resource_spans:
        for span in resource_spans.scope_spans[0].spans:
            span.flags = 0  # the SDK says "not remote" of every parent; a record does not know
            if not span.status.code:
                span.ClearField("status")  # the SDK sends it empty, which means the same
    if unique:
        assert ours == theirs


def test_an_attribute_of_a_foreign_type_is_named_and_its_repr_never_called() -> None:
    class Trap:
        def __repr__(self) -> str:
            raise AssertionError

    record = SpanRecord("m:f", bytes(16), bytes(8), b"", 1, 2, None, (("x", Trap()),))  # type: ignore[arg-type]

    [span] = only_spans(encode_spans(b"", [record]))

    assert span.attributes[2].value.string_value == "<Trap>"


def test_an_integer_of_millions_of_digits_is_named_by_its_size() -> None:
    record = SpanRecord("m:f", bytes(16), bytes(8), b"", 1, 2, None, (("x", 1 << 10_000_000),))

    [span] = only_spans(encode_spans(b"", [record]))

    assert span.attributes[2].value.string_value == "an integer of 10000001 bits"


def test_a_clock_before_1970_does_not_lose_the_batch() -> None:
    assert len(only_spans(encode_spans(b"", [SpanRecord("m:f", bytes(16), bytes(8), b"", -5, -1)]))) == 1


def test_a_million_function_names_leave_a_bounded_memory() -> None:
    for i in range(2 * spans_module._MOST_FUNCTIONS + 10):
        spans_module._constant(f"m:f{i}")

    assert len(spans_module._constants) <= spans_module._MOST_FUNCTIONS
