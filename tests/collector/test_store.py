"""What every store must do; a further implementation is one more parameter."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mystic_collector.otlp.spans import read_spans
from mystic_collector.store.protocol import Store, StoreError
from mystic_collector.store.records import (
    OVERFLOW,
    UNTIMED,
    CountPoint,
    Fact,
    FunctionPoint,
    Incoming,
    Point,
    Resource,
    SpanQuery,
)
from mystic_collector.store.sqlite import SqliteStore

from .conftest import NOW, Clock
from .messages import START, span, traces


def process(instance: str, service: str = "shop") -> Resource:
    return Resource(service, instance, "production", "{}")


def timed(function: str, calls: int, *, start: int = 1, time: int = 5, ns: int = 1000) -> FunctionPoint:
    return FunctionPoint(function, start, time, calls, calls * ns, ns, ns, 0, (9, [calls]))


def errors(function: str, count: int, *, start: int = 1) -> CountPoint:
    return CountPoint(function, start, 5, count)


def hits(function: str, count: int) -> CountPoint:
    return CountPoint(function, 1, 5, count, "cache", "hit")


def untimed(function: str, count: int) -> CountPoint:
    return CountPoint(function, 1, 5, count, "", UNTIMED)


def calls_of(store: Store, function: str = "m:f") -> int:
    return sum(one.calls for one in store.functions(function=function))


def spans_of(*listed: Any, service: str = "shop", instance: str = "i1") -> list[Incoming]:
    return read_spans(traces(*listed, service=service, instance=instance))[0]


def test_totals_are_the_sum_over_processes_and_survive_a_restart(open_store: Callable[..., Store]) -> None:
    store = open_store()
    store.write([Incoming(process("a"), functions=[timed("m:f", 3)], counts=[errors("m:f", 1), hits("m:f", 5)])])
    store.write([Incoming(process("b"), functions=[timed("m:f", 4, ns=2000)], counts=[hits("m:f", 2)])])
    for reopen in (lambda: store, open_store):
        [found] = reopen().functions()
        assert (found.service, found.function, found.calls, found.errors) == ("shop", "m:f", 7, 1)
        assert (found.total_ns, found.min_ns, found.max_ns, found.instances) == (11_000, 1000, 2000, 2)
        assert found.decisions == {("cache", "hit", ""): 7}
        assert found.buckets == (9, [7])


def test_late_repeated_and_reordered_points_change_nothing(open_store: Callable[..., Store]) -> None:
    store = open_store()
    points = [(count, timed("m:f", count, time=count), errors("m:f", count // 2)) for count in range(1, 30)]
    shuffled = points * 3
    random.Random(7).shuffle(shuffled)
    for _, point, failed in shuffled:
        store.write([Incoming(process("a"), functions=[point], counts=[failed])])
    [found] = store.functions()
    assert (found.calls, found.errors, found.total_ns) == (29, 14, 29_000)
    [interval] = store.history("m:f")
    assert (interval.calls, interval.errors, interval.total_ns) == (29, 14, 29_000)


def test_a_restarted_process_with_the_same_name_adds_to_what_it_counted_before(
    open_store: Callable[..., Store],
) -> None:
    store = open_store()
    store.write([Incoming(process("a"), functions=[timed("m:f", 10, start=1)])])
    store.write([Incoming(process("a"), functions=[timed("m:f", 2, start=9)])])
    store.write([Incoming(process("a"), functions=[timed("m:f", 9, start=1)])])
    assert calls_of(store) == 12


def test_points_repeated_within_one_request_count_once(open_store: Callable[..., Store]) -> None:
    store = open_store()
    one = Incoming(
        process("a"), functions=[timed("m:f", 3), timed("m:f", 5)], counts=[errors("m:f", 2), errors("m:f", 2)]
    )
    store.write([one, one])
    [found] = store.functions()
    assert (found.calls, found.errors) == (5, 2)


def test_a_function_served_from_the_cache_alone_is_listed(open_store: Callable[..., Store]) -> None:
    store = open_store()
    store.write([Incoming(process("a"), counts=[hits("m:f", 4), untimed("m:f", 4)])])
    [found] = store.functions()
    assert (found.function, found.calls, found.untimed) == ("m:f", 0, 4)
    assert found.decisions == {("cache", "hit", ""): 4}


def test_a_million_names_end_in_one_overflow_name_and_no_call_is_lost(open_store: Callable[..., Store]) -> None:
    store = open_store(max_functions=10)
    for _ in range(2):  # cumulative: the second export says the same again
        points = [timed(f"m:f{number}", 2) for number in range(1000)]
        store.write([Incoming(process("a"), functions=points)])
    store.write([Incoming(process("b"), functions=[timed("m:another", 5)])])
    found = {one.function: one.calls for one in store.functions()}
    assert len(found) == 11
    assert found[OVERFLOW] == 990 * 2 + 5
    assert sum(found.values()) == 2005
    assert store.sizes().overflowing


def test_figures_of_one_service_do_not_show_in_another(open_store: Callable[..., Store]) -> None:
    store = open_store()
    store.write([Incoming(process("a"), functions=[timed("m:f", 3)])])
    store.write([Incoming(process("a", "stock"), functions=[timed("m:f", 8)])])
    assert {one.service: one.calls for one in store.functions()} == {"shop": 3, "stock": 8}
    [found] = store.functions(service="stock", function="m:f")
    assert found.calls == 8


def test_the_history_tells_what_happened_when(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store()
    for total in (5, 5, 12):
        store.write(
            [
                Incoming(
                    process("a"),
                    functions=[timed("m:f", total)],
                    counts=[hits("m:f", total * 2), untimed("m:f", total)],
                )
            ]
        )
        clock.now += 10
    found = store.history("m:f")
    assert [(one.at, one.seconds, one.calls, one.hits, one.untimed) for one in found] == [
        (int(NOW), 10, 5, 10, 5),
        (int(NOW) + 20, 10, 7, 14, 7),
    ]
    assert [one.calls for one in store.history("m:f", since=NOW + 15)] == [7]


def test_rates_are_the_history_of_all_functions_together(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store()
    assert store.rates(0.0) == []
    for total in (4, 4, 10):
        store.write(
            [
                Incoming(process("a"), functions=[timed("m:f", total)], counts=[hits("m:f", total)]),
                Incoming(process("b"), functions=[timed("m:g", 2 * total)], counts=[errors("m:g", total)]),
                Incoming(process("c", "bank"), functions=[timed("m:f", total)]),
            ]
        )
        clock.now += 10
    first, last = int(NOW), int(NOW) + 20  # nothing was called in between
    found = store.rates(0.0)
    assert [(one.at, one.seconds, one.calls, one.hits, one.errors) for one in found] == [
        (first, 10, 16, 4, 4),
        (last, 10, 24, 6, 6),
    ]
    assert [(one.at, one.calls) for one in store.rates(0.0, "bank")] == [(first, 4), (last, 6)]
    assert [one.at for one in store.rates(NOW + 15)] == [last]
    assert store.rates(0.0, "none") == []
    clock.now += 3700
    store.retain(clock.now)
    assert sum(one.calls for one in store.rates(0.0)) == 40, "wider intervals keep the sums"


def test_old_history_becomes_coarse_and_keeps_its_sums(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store()
    for total in range(1, 61):
        store.write([Incoming(process("a"), functions=[timed("m:f", total)])])
        clock.now += 10
    clock.now += 3700
    store.retain(clock.now)
    found = store.history("m:f")
    assert sum(one.calls for one in found) == 60
    assert {one.seconds for one in found} == {300}
    assert len(found) <= 3
    assert sum(sum(one.buckets[1]) for one in found) == 60


def test_a_process_dead_for_the_whole_retention_is_folded_into_the_past_and_never_counted_twice(
    open_store: Callable[..., Store], clock: Clock
) -> None:
    store = open_store(max_age=1000.0)
    for number in range(5):
        counts = [errors("m:f", 1), hits("m:f", 2)]
        store.write([Incoming(process(f"p{number}"), functions=[timed("m:f", 10, ns=100 + number)], counts=counts)])
    clock.now += 2000
    store.write([Incoming(process("alive"), functions=[timed("m:f", 1, ns=50)])])
    store.retain(clock.now)
    store.write([Incoming(process("p0"), functions=[timed("m:f", 11)], counts=[errors("m:f", 9)])])
    for reopen in (lambda: store, lambda: open_store(max_age=1000.0)):
        [found] = reopen().functions()
        assert (found.calls, found.errors, found.decisions) == (51, 5, {("cache", "hit", ""): 10})
        assert (found.min_ns, found.max_ns) == (50, 104)


def test_a_trace_is_found_whole_over_requests_and_processes(open_store: Callable[..., Store]) -> None:
    store = open_store()
    root = span("m:root", start=100, duration=50)
    child = span("m:child", trace=root.trace_id, parent=root.span_id, start=110, error="ValueError: no")
    store.write(spans_of(child, span("m:else"), instance="b"))
    store.write(spans_of(root, instance="a"))
    store.write(spans_of(root, instance="a"))
    for reopen in (lambda: store, open_store):
        found = reopen().trace(root.trace_id)
        assert [(one.instance, one.span.function, one.span.error) for one in found] == [
            ("a", "m:root", ""),
            ("b", "m:child", "ValueError: no"),
        ]
        assert found[1].span.parent_id == root.span_id
    assert open_store().trace(bytes(16)) == []


def test_brief_traces_are_the_same_without_what_takes_long_to_read(open_store: Callable[..., Store]) -> None:
    store = open_store()
    for at in range(3):
        root = span("m:a", trace=bytes([at + 1]) * 16, start=START + at, error="ValueError: no")
        rest = [span("m:b", trace=root.trace_id, parent=root.span_id, start=START + at + 10) for _ in range(2)]
        store.write(spans_of(root, *rest))
    whole, brief = store.traces(SpanQuery(limit=2)), store.traces(SpanQuery(limit=2, brief=True))
    assert [[one.span.span_id for one in spans] for spans in whole] == [
        [one.span.span_id for one in spans] for spans in brief
    ]
    assert [len(spans) for spans in brief] == [3, 3]
    assert [one.span.start_ns for spans in brief for one in spans[:1]] == [START + 2, START + 1]
    for full, short in zip(whole, brief, strict=True):
        for one, other in zip(full, short, strict=True):
            assert other.span == one.span._replace(attributes="{}", events="", error="")
    assert "ValueError" in whole[0][0].span.error


def test_traces_are_filtered_by_function_service_error_and_duration(open_store: Callable[..., Store]) -> None:
    store = open_store()
    slow = span("a.b:c", duration=10**9)
    bad = span("m:f", error="OSError: gone")
    other = span("a:b.c", start=200)
    store.write(spans_of(slow, bad))
    store.write(spans_of(other, service="stock"))

    def ids(**wanted: Any) -> list[bytes]:
        return [one[0].span.trace_id for one in store.traces(SpanQuery(**wanted))]

    assert ids() == [other.trace_id, *sorted((slow.trace_id, bad.trace_id), reverse=True)]
    assert ids(function="a.b:c") == [slow.trace_id]
    assert ids(function="a:b.c") == [other.trace_id]
    assert ids(function="a.b.c") == [other.trace_id, slow.trace_id]
    assert ids(errors=True) == [bad.trace_id]
    assert ids(min_duration_ns=10**8) == [slow.trace_id]
    assert ids(service="stock") == [other.trace_id]
    assert ids(function="m:f", service="stock") == []
    assert len(ids(limit=1)) == 1


def test_spans_under_too_many_names_are_still_found(open_store: Callable[..., Store]) -> None:
    store = open_store(max_functions=3)
    listed = [span(f"m:f{number}") for number in range(20)]
    for one in listed:
        store.write(spans_of(one))
    for one in listed:
        [[found]] = store.traces(SpanQuery(function=one.attributes[0].value.string_value))
        assert found.span.span_id == one.span_id


def test_what_is_older_than_the_retention_goes_and_totals_stay(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store(max_age=100.0)
    point = Point(1, "http.requests", "sum", "1", "{}", 3.0, "{}")
    old, new = span("m:old"), span("m:new")
    store.write([*spans_of(old), Incoming(process("i1"), functions=[timed("m:f", 2)], points=[point])])
    clock.now += 150
    store.write([*spans_of(new), Incoming(process("i1"), points=[point])])
    assert store.retain(clock.now) > 0
    assert store.trace(old.trace_id) == []
    assert len(store.trace(new.trace_id)) == 1
    assert len(store.points()) == 1
    assert store.traces(SpanQuery(function="m:old")) == []
    assert calls_of(store) == 2


def test_the_store_stays_within_its_bytes(open_store: Callable[..., Store], kind: str) -> None:
    limit = 2 * 2**20 if kind == "sqlite" else 2**18  # which compresses, and has no indexes of every trace
    store = open_store(max_bytes=limit)
    for number in range(60):
        store.write(spans_of(*(span(f"m:f{number}_{one}") for one in range(200))))
        while store.sizes().bytes > limit:
            assert store.retain(NOW) > 0
    assert 0 < store.sizes().spans < 60 * 200
    assert store.sizes().bytes <= limit


def test_the_latest_fact_counts(open_store: Callable[..., Store]) -> None:
    store = open_store()
    for time, value in ((5, 0.25), (9, 0.5), (7, 0.75)):
        store.write([Incoming(process("a"), facts=[Fact("mystic.agent.overhead", "", time, value)])])
    assert store.facts() == {("shop", "a"): {("mystic.agent.overhead", ""): 0.5}}


def test_other_metrics_are_kept_as_they_came(open_store: Callable[..., Store]) -> None:
    store = open_store()
    points = [Point(number, "queue", "gauge", "1", '{"q":"a"}', float(number), "{}") for number in range(5)]
    store.write([Incoming(process("a"), points=points)])
    found = store.points("queue", limit=2)
    assert [(one["value"], one["attributes"], one["service"]) for one in found] == [
        (4.0, {"q": "a"}, "shop"),
        (3.0, {"q": "a"}, "shop"),
    ]
    assert store.points("nothing") == []


def test_a_write_that_fails_keeps_nothing_and_the_next_one_works(open_store: Callable[..., Store]) -> None:
    store = open_store()
    good = Incoming(process("a"), functions=[timed("m:f", 3)])
    impossible = Incoming(process("a"), functions=[timed("m:f", 9, time=2**70, ns=2**60)])
    with pytest.raises(StoreError, match="could not be written"):
        store.write([Incoming(process("a"), functions=[timed("m:f", 4)]), impossible])
    assert store.functions() == []
    store.write([good])
    assert calls_of(store) == 3


def test_reading_a_closed_store_says_so(open_store: Callable[..., Store]) -> None:
    store = open_store()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.functions()


def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "t.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match="move it away or choose MYSTIC_DATA_DIR"):
        SqliteStore(tmp_path / "t.db")


def test_any_order_of_arrival_gives_the_same_totals(open_store: Callable[..., Store]) -> None:
    store = open_store()
    arrivals = [
        Incoming(process(instance), functions=[timed(function, calls, start=start)])
        for instance, function, start, calls in itertools.product("ab", ("m:f", "m:g"), (1, 2), (3, 6, 9))
    ]
    random.Random(3).shuffle(arrivals)
    for one in arrivals:
        store.write([one])
    assert {one.function: one.calls for one in store.functions()} == {"m:f": 36, "m:g": 36}
