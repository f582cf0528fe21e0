"""The pure parts: event reading, back-off, the ledger of what was acknowledged, packing."""

from __future__ import annotations

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.link.backoff import CEILINGS, SHORTEST, Backoff, share
from mystic_agent.link.events import Event, EventReader, TooLong
from mystic_agent.link.ledger import FULL_EVERY, Ledger
from mystic_agent.link.packing import MOST_BYTES, pack_metrics, pack_spans
from mystic_agent.records import Count, Reading, SpanRecord
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

STREAM = (
    b"\xef\xbb\xbf: hello\r\nevent: hijacks\r\nid: 1\r\ndata: one\r\ndata:  two\r\n\r\n"
    b"data\n\nevent: x\n\ndata:three\rdata: four\r\r: c\n\nevent: hijacks\ndata: \xc3\xa9\n\ndata: unfinished\n"
)
EVENTS = [Event("hijacks", "one\n two"), Event("message", ""), Event("message", "three\nfour"), Event("hijacks", "é")]


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    reader = EventReader()
    edges = [0, *sorted(cuts), len(STREAM)]

    events = [event for a, b in pairwise(edges) for event in reader.feed(STREAM[a:b])]

    assert events == EVENTS


@pytest.mark.parametrize("endless", [b"data: " + b"x" * 50, b"data: x\n" * 20, b"x" * 60, b": " + b"x" * 60])
def test_an_event_over_the_limit_is_refused(endless: bytes) -> None:
    with pytest.raises(TooLong, match="50 bytes"):
        EventReader(50).feed(endless)


def test_comments_that_keep_a_stream_alive_for_days_do_not_add_up() -> None:
    reader = EventReader(50)
    for _ in range(1000):
        assert reader.feed(b": still here\n") == []


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(piece: bytes) -> None:
    EventReader().feed(piece)


def test_the_first_retries_come_within_a_second_and_the_later_ones_within_ten() -> None:
    backoff = Backoff(lambda: 1.0)

    delays = [backoff.next() for _ in range(12)]

    assert max(delays[:5]) <= 1.0
    assert delays == sorted(delays)
    assert delays[-1] == max(CEILINGS) == 10.0
    backoff.reset()
    assert backoff.next() == delays[0]


def test_the_whole_delay_is_jitter_down_to_a_floor() -> None:
    assert Backoff(lambda: 0.0).next() == SHORTEST
    assert all(0 <= share() < 1 for _ in range(100))


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, SHORTEST), (1e9, 300.0), (None, SHORTEST)])
def test_what_the_server_asks_for_is_honoured_up_to_five_minutes(asked: float | None, waited: float) -> None:
    assert Backoff(lambda: 0.0).next(asked) == waited


def reading(function: str, calls: int, *, zero: int = 0, errors: int = 0) -> Reading:
    buckets = [0] * 64
    buckets[0], buckets[3] = zero, calls
    return Reading(function, tuple(buckets), 5 * calls, 5, 5, errors)


def said(ledger: Ledger, *readings: Reading, at: float = 0.0) -> tuple[int, list[str]]:
    generation, chosen = ledger.select(readings, at)
    ledger.sent(generation, chosen, 1)
    return generation, [one.function for one in chosen]


def test_a_function_without_a_new_call_is_said_once_it_was_acknowledged_only_after_a_minute() -> None:
    ledger = Ledger(1)
    generation, names = said(ledger, reading("a", 1), reading("b", 1))
    assert names == ["a", "b"]
    assert said(ledger, reading("a", 1), reading("b", 2))[1] == ["a", "b"], "not acknowledged yet"
    ledger.delivered(generation)
    assert said(ledger, reading("a", 1), reading("b", 2))[1] == ["a", "b"], "an overtaken generation is no proof"

    generation, _ = said(ledger, reading("a", 1), reading("b", 2))
    ledger.delivered(generation)
    assert said(ledger, reading("a", 1), reading("b", 3), at=1.0)[1] == ["b"]
    assert said(ledger, reading("a", 1), reading("b", 3), at=FULL_EVERY)[1] == ["a", "b"]


@pytest.mark.parametrize("more", [reading("a", 2), reading("a", 1, zero=1), reading("a", 1, errors=1)])
def test_every_kind_of_change_is_said(more: Reading) -> None:
    ledger = Ledger(1)
    ledger.delivered(said(ledger, reading("a", 1))[0])

    assert said(ledger, more)[1] == ["a"]


def test_figures_count_as_acknowledged_when_every_receiver_has_them() -> None:
    ledger = Ledger(2)
    generation, _ = said(ledger, reading("a", 1))
    ledger.delivered(generation)
    assert said(ledger, reading("a", 1))[1] == ["a"]

    generation, _ = said(ledger, reading("a", 1))
    ledger.delivered(generation)
    ledger.delivered(generation)
    assert said(ledger, reading("a", 1))[1] == []


def test_after_a_reconnection_everything_is_said_again() -> None:
    ledger = Ledger(1)
    ledger.delivered(said(ledger, reading("a", 1))[0])
    generation, _ = said(ledger, reading("a", 2))
    ledger.forget()
    ledger.delivered(generation)

    assert said(ledger, reading("a", 2))[1] == ["a"]


def test_spans_are_packed_in_order_by_number_and_by_size() -> None:
    small = [SpanRecord("m:f", bytes(16), i.to_bytes(8), b"", 1, 2) for i in range(1100)]
    large = [one._replace(attributes=(("x", "y" * 300_000),)) for one in small[:10]]

    payloads = list(pack_spans(b"", small + large))

    assert [payload.items for payload in payloads[:2]] == [512, 512]
    ids = []
    for payload in payloads:
        body = gzip.decompress(payload.body)
        assert len(body) <= MOST_BYTES
        spans = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
        assert len(spans) == payload.items
        ids += [int.from_bytes(span.span_id) for span in spans]
    assert ids == [*range(1100), *range(10)]


def test_a_span_larger_than_a_payload_travels_alone() -> None:
    huge = SpanRecord("m:f", bytes(16), bytes(8), b"", 1, 2, None, (("x", "y" * 2 * MOST_BYTES),))

    assert [payload.items for payload in pack_spans(b"", [huge, huge])] == [1, 1]


def test_metrics_of_many_functions_are_parts_of_one_generation() -> None:
    readings = [reading(f"m:f{i}", 1) for i in range(5001)]

    payloads = pack_metrics(b"", readings, [Count("x", 1)], generation=4, start_ns=1, now_ns=2)

    assert [(payload.items, payload.generation) for payload in payloads] == [(5000, 4), (1, 4)]


def test_nothing_to_say_is_not_sent() -> None:
    assert pack_metrics(b"", [], [], generation=1, start_ns=1, now_ns=2) == []
    assert list(pack_spans(b"", [])) == []
