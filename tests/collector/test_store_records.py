"""What every store must do with log records, failures, lives of functions and what lies outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mystic_agent.contract.mark import Mark
from mystic_collector.store.external_records import ExternalPoint
from mystic_collector.store.life_records import LifeQuery, MarkRow
from mystic_collector.store.log_records import LogPage, LogQuery, LogRow
from mystic_collector.store.protocol import Store
from mystic_collector.store.records import Incoming, SpanQuery

from .conftest import NOW, Clock
from .messages import START, span
from .test_store import errors, hits, process, spans_of, timed

Open = Callable[..., Store]


def log(body: str, time: int, *, event: str = "mystic.log", function: str = "m:f", **more: Any) -> LogRow:
    row = LogRow(time, event, function, 9, b"", b"", body, "{}")
    return row._replace(**more)


def told(page: LogPage) -> list[str]:
    return [one.row.body for one in page.records]


def test_log_records_are_found_by_everything_that_can_be_asked_for(open_store: Open) -> None:
    store = open_store()
    first = log("one", 10)
    second = log("Two", 20, event="other", severity=17, trace_id=b"t" * 16, span_id=b"s" * 8, attributes='{"a":1}')
    store.write([Incoming(process("a"), logs=[first, second])])
    store.write([Incoming(process("b", "stock"), logs=[log("three", 15, function="m:g"), log("late", 0, function="")])])

    def ask(**wanted: Any) -> list[str]:
        return told(store.logs(LogQuery(**wanted)))

    assert ask() == ["late", "Two", "three", "one"], "a record without a time came just now"
    assert ask(function="m:f") == ["Two", "one"]
    assert ask(service="stock") == ["late", "three"]
    assert ask(events=("other", "none")) == ["Two"]
    assert ask(without=("mystic.log",)) == ["Two"]
    assert ask(severity=10) == ask(trace_id=b"t" * 16) == ask(text="tWo") == ["Two"]
    assert ask(since_ns=16, function="m:f") == ["Two"]
    [found] = store.logs(LogQuery(text="two")).records
    assert (found.service, found.instance, found.row) == ("shop", "a", second)
    assert ask(id=found.id) == ["Two"]
    assert ask(text="a\\_") == ask(function="m:none") == []


def test_pages_of_log_records_join_without_gap_in_both_directions(open_store: Open) -> None:
    store = open_store()
    for number in range(0, 12, 4):
        rows = [log(str(one), 100 + one // 3) for one in range(number, number + 4)]
        store.write([Incoming(process("a"), logs=rows)])
    back: list[str] = []
    query = LogQuery(limit=5)
    while True:
        page = store.logs(query)
        back += told(page)
        if page.next is None:
            break
        query = LogQuery(limit=5, before=page.next)
    assert back == [str(one) for one in reversed(range(12))]
    newest = store.logs(LogQuery()).newest
    assert told(store.logs(LogQuery(after=newest))) == []
    store.write([Incoming(process("a"), logs=[log("new", 200), log("old", 1)])])
    page = store.logs(LogQuery(after=newest, limit=1))
    assert told(page) == ["new"]
    assert told(store.logs(LogQuery(after=page.newest))) == ["old"]


def test_failures_are_the_newest_spans_that_ended_in_an_error(open_store: Open) -> None:
    store = open_store()
    store.write(spans_of(span("m:f", error="OSError: first", start=START), span("m:g", start=START + 5)))
    store.write(spans_of(span("m:h", error="KeyError: second", start=START + 9), service="stock"))
    assert [one.span.function for one in store.failures(SpanQuery())] == ["m:h", "m:f"]
    assert [one.service for one in store.failures(SpanQuery(besides="stock"))] == ["shop"]
    assert [one.span.function for one in store.failures(SpanQuery(service="stock"))] == ["m:h"]
    assert store.failures(SpanQuery(function="m:g")) == []


def test_recent_calls_are_those_of_the_intervals_asked_for(open_store: Open, clock: Clock) -> None:
    store = open_store()
    for calls in (5, 8):
        store.write([Incoming(process("a"), functions=[timed("m:f", calls)], counts=[hits("m:f", 2 * calls)])])
        clock.now += 60
    assert [tuple(one) for one in store.recent(NOW - 1)] == [("shop", "m:f", 8, 0, 16)]
    assert [tuple(one) for one in store.recent(NOW + 30)] == [("shop", "m:f", 3, 0, 6)]
    assert store.recent(NOW + 30, "stock") == store.recent(NOW + 100) == []


def mark(number: int, *hijacks: str) -> MarkRow:
    return MarkRow("m:f", Mark(number, at_ns=number, version=1, hijacks=hijacks))


def test_lives_are_of_functions_that_were_hijacked_process_by_process(open_store: Open, clock: Clock) -> None:
    store = open_store(max_age=1000.0)
    counted = {"functions": [timed("m:f", 3)], "counts": [errors("m:f", 1), hits("m:f", 2)]}
    store.write([Incoming(process("a"), marks=[mark(2, "h2"), mark(1, "h1")], **counted)])
    store.write([Incoming(process("a"), marks=[mark(1, "h1")])])
    store.write([Incoming(process("b"), **counted)])
    store.write([Incoming(process("c"), functions=[timed("m:other", 9)])])
    one, other = sorted(store.lives(LifeQuery()), key=lambda found: found.instance)
    assert [(found.instance, found.stage, found.function) for found in (one, other)] == [
        ("a", "production", "m:f"),
        ("b", "production", "m:f"),
    ]
    assert [kept.number for kept in one.marks] == [1, 2]
    assert other.marks == []
    assert (one.tally.timed, one.tally.errors, one.tally.decisions) == (3, 1, {"cache/hit": 2})
    assert one.tally.buckets == (9, [3])
    assert one.last_ns == 5
    assert len(store.lives(LifeQuery(hijack="h2"))) == 2, "of the function, in every process"
    assert store.lives(LifeQuery(hijack="h3")) == store.lives(LifeQuery(service="stock")) == []
    clock.now += 2000
    store.write([Incoming(process("b"), functions=[timed("m:f", 4)])])
    store.retain(clock.now)
    assert store.lives(LifeQuery(hijack="h1")) == [], "nobody is left who could tell of it"


def test_what_processes_did_outside_is_their_sum_and_never_shrinks(open_store: Open) -> None:
    store = open_store()

    def outside(operations: int, peer: str = "db:5432", function: str = "m:f") -> ExternalPoint:
        return ExternalPoint(function, "lib:get", peer, "postgres", operations * 10, operations, 1, 0, 5, 6, 7)

    for instance, operations in (("a", 3), ("a", 9), ("a", 5), ("b", 4)):
        store.write([Incoming(process(instance), externals=[outside(operations)])])
    store.write([Incoming(process("a", "stock"), externals=[outside(1, function="")])])
    found = {(one.service, one.point.function): one for one in store.externals()}
    shop = found["shop", "m:f"]
    assert (shop.processes, shop.stage, shop.point.operations, shop.point.waited_ns) == (2, "production", 13, 14)
    assert shop.point.time_ns == 90
    assert found["stock", ""].point.peer == "db:5432"
    assert [one.service for one in store.externals("stock")] == ["stock"]
    assert [one.processes for one in store.externals(since=60e-9)] == [1]
    many = [outside(1, f"host{number}:1") for number in range(1500)]
    store.write([Incoming(process("c", "busy"), externals=many)])
    assert len(store.externals("busy")) == 1000
