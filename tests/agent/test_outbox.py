"""What waits to be sent is bounded, and every loss is counted."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st
from mystic_agent.outbox import LOGS, METRICS, SPANS, Outbox, Payload


def spans(name: str, items: int = 1) -> Payload:
    return Payload(SPANS, name.encode(), items)


def drained(outbox: Outbox) -> list[str]:
    found = []
    while (payload := outbox.take()) is not None:
        found.append(payload.body.decode())
    return found


def test_spans_leave_in_the_order_they_came_and_metrics_before_them() -> None:
    outbox = Outbox()
    outbox.put(spans("a"))
    outbox.put(spans("b"))
    outbox.put_metrics([Payload(METRICS, b"m", 1, 1)])

    assert outbox.waiting == 3
    assert drained(outbox) == ["m", "a", "b"]
    assert outbox.dropped == {}


def test_newer_metrics_take_the_place_of_waiting_ones_and_nothing_counts_as_lost() -> None:
    outbox = Outbox()
    outbox.put_metrics([Payload(METRICS, b"1a", 1, 1), Payload(METRICS, b"1b", 1, 1)])
    outbox.put_metrics([Payload(METRICS, b"2", 1, 2)])

    assert drained(outbox) == ["2"]
    assert outbox.dropped == {}


def test_metrics_given_back_after_newer_ones_came_are_forgotten() -> None:
    outbox = Outbox()
    outbox.put_metrics([Payload(METRICS, b"1", 1, 1)])
    taken = outbox.take()
    outbox.put_metrics([Payload(METRICS, b"2", 1, 2)])
    outbox.give_back(taken)
    assert drained(outbox) == ["2"]

    outbox.put_metrics([Payload(METRICS, b"3", 1, 3), Payload(METRICS, b"4", 1, 3)])
    outbox.give_back(outbox.take())
    assert drained(outbox) == ["3", "4"]


def test_over_the_limit_the_oldest_spans_go_and_are_counted_as_spans() -> None:
    outbox = Outbox(10)
    outbox.put(spans("aaaa", 5))
    outbox.put(spans("bbbb", 7))
    outbox.put(spans("cccc", 1))

    assert outbox.dropped == {"spans": 5}
    assert drained(outbox) == ["bbbb", "cccc"]


def test_a_payload_larger_than_the_limit_is_dropped_and_counted() -> None:
    outbox = Outbox(3)
    outbox.put(spans("aaaa", 5))

    assert (outbox.waiting, outbox.waiting_bytes, outbox.dropped) == (0, 0, {"spans": 5})


def test_spans_given_back_when_the_room_is_gone_are_the_oldest() -> None:
    outbox = Outbox(8)
    outbox.put(spans("aaaa", 2))
    taken = outbox.take()
    outbox.put(spans("bbbb", 3))
    outbox.put(spans("cccc", 4))
    outbox.give_back(taken)

    assert drained(outbox) == ["bbbb", "cccc"]
    assert outbox.dropped == {"spans": 2}


def test_losses_of_a_second_receiver_are_counted_in_the_same_place_under_its_name() -> None:
    outbox = Outbox(4)
    beside = outbox.beside("other:4318")
    outbox.put(spans("aaaaa", 1))
    beside.put(spans("aaaaa", 2))
    beside.drop("metrics", 3)

    assert outbox.dropped == {"spans": 1, "other:4318.spans": 2, "other:4318.metrics": 3}


def test_spans_and_logs_leave_in_the_order_they_came_and_neither_takes_the_others_room() -> None:
    outbox = Outbox(8, logs_bytes=4)
    for body in ("s1", "l1", "s2", "l2", "s3", "l3"):
        outbox.put(Payload(SPANS if body[0] == "s" else LOGS, body.encode(), 3))

    assert outbox.dropped == {"logs": 3}
    assert drained(outbox) == ["s1", "s2", "l2", "s3", "l3"]
    assert outbox.beside("x").put(Payload(LOGS, b"12345", 1)) is None
    assert outbox.dropped == {"logs": 3, "x.logs": 1}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(0, 30)), st.tuples(st.sampled_from(["take", "back"]), st.just(0))
        )
    )
)
def test_every_span_is_waiting_or_taken_or_counted_as_dropped(steps: list[tuple[str, int]]) -> None:
    outbox = Outbox(50)
    put = delivered = 0
    taken: list[Payload] = []
    for step, size in steps:
        if step == "put":
            outbox.put(Payload(SPANS, bytes(size), size))
            put += size
        elif step == "take" and (payload := outbox.take()):
            taken.append(payload)
        elif step == "back" and taken:
            outbox.give_back(taken.pop())
        assert 0 <= outbox.waiting_bytes <= 50
    while payload := outbox.take():
        delivered += payload.items
    assert put == delivered + sum(one.items for one in taken) + outbox.dropped.get("spans", 0)


def test_no_span_is_lost_count_of_under_many_threads() -> None:
    outbox = Outbox(100)
    taken = [0] * 4

    def put() -> None:
        for _ in range(2000):
            outbox.put(Payload(SPANS, bytes(7), 3))

    def take(slot: int) -> None:
        for i in range(2000):
            payload = outbox.take()
            if payload is not None and i % 3:
                taken[slot] += payload.items
            elif payload is not None:
                outbox.give_back(payload)

    threads = [threading.Thread(target=put) for _ in range(4)] + [
        threading.Thread(target=take, args=(slot,)) for slot in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    left = 0
    while payload := outbox.take():
        left += payload.items
    assert sum(taken) + left + outbox.dropped.get("spans", 0) == 4 * 2000 * 3
