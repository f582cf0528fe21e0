"""Before and after a hijack: figures cut where processes attached it, compared with intervals."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract.mark import Mark
from mystic_collector.analysis import difference
from mystic_collector.analysis.difference import LEAST, of_means, of_shares, variance, wilson
from mystic_collector.analysis.impact import Wording, figures, impact
from mystic_collector.analysis.phases import phases
from mystic_collector.store.life_records import Life, LifeQuery, MarkRow, Tally
from mystic_collector.store.lives import MOST_MARKS
from mystic_collector.store.records import Incoming, Resource
from mystic_collector.store.sqlite import SqliteStore

from .conftest import Running

MS = 10**6
CACHE = {"*": [{"cache": {"ttl": "1h"}}]}
LOG = {"*": [{"log": {}}]}


def tally(*durations: float, errors: int = 0, untimed: int = 0, **decisions: int) -> Tally:
    """Return what calls of so many seconds leave."""
    counts = [0] * 63
    for one in durations:
        counts[max(math.ceil(math.log2(one * 1e9)) - 1, 0)] += 1
    names = {name.replace("_", "/"): count for name, count in decisions.items()}
    return Tally(0, (0, counts), untimed, errors, round(sum(durations) * 1e9), names)


def mark(number: int, at: Tally, *hijacks: str, version: int = 1, strategies: tuple[str, ...] = ("cache",)) -> Mark:
    buckets = (at.zero, *at.buckets[1])
    names = strategies if hijacks else ()
    return Mark(
        number, 100 + number, version, hijacks, names, buckets, at.untimed, at.errors, at.total_ns, at.decisions
    )


def life(now: Tally, *marks: Mark, instance: str = "i", **more: Any) -> Life:
    return Life(**{"service": "shop", "instance": instance, "stage": "production", "function": "m:f", "tally": now,
                   "marks": marks, "last_ns": 1000, **more})  # fmt: skip


def one_row(found: dict[str, Any]) -> dict[str, Any]:
    [row] = found["versions"][0]["functions"]
    return row


def test_a_call_counts_as_a_hit_when_nothing_was_computed_for_it() -> None:
    spared = {"cache_hit": 1, "cache_shared hit": 2, "cache_joined": 4, "cache_stale": 8}
    paid = {"cache_miss": 16, "cache_renewed": 32, "cache_still stale": 64}
    beside = {"cache_refreshed": 1, "cache_not refreshed": 1, "cache_kept/out": 1, "cache_bypass": 1, "log_logged": 1}
    found = figures(tally(0.1, **spared, **paid, **beside))
    assert (found["hits"], found["misses"], found["hit_rate"]) == (15, 112, 15 / 127)


def test_calls_are_divided_at_the_mark_and_those_the_trampoline_served_weigh_nothing() -> None:
    old = tally(*[0.02] * 30, errors=2)
    now = tally(*[0.02] * 31, errors=2, untimed=29, cache_hit=29, cache_miss=1)
    row = one_row(impact("h", [Wording(1, {"stages": CACHE})], [life(now, mark(0, old, "h"))]))
    assert (row["before"]["call_count"], row["after"]["call_count"]) == (30, 30)
    assert (row["before"]["exceptions"], row["after"]["exceptions"]) == (2, 0)
    assert (row["after"]["hits"], row["after"]["misses"], row["after"]["hit_rate"]) == (29, 1, 29 / 30)
    assert row["after"]["avg_time"] == pytest.approx(0.02 / 30)
    assert row["after"]["p50"] == 0.0
    assert row["change"]["time"]["verdict"] == "faster"
    assert row["change"]["saved_time"] == pytest.approx(29 * 0.02, rel=0.01)


def test_processes_are_added_up_each_from_the_moment_it_attached() -> None:
    first = life(tally(*[0.01] * 50, *[0.001] * 40), mark(0, tally(*[0.01] * 50), "h"), instance="a")
    second = life(tally(*[0.01] * 7, *[0.001] * 3), mark(0, tally(*[0.01] * 7), "h"), instance="b")
    late = life(tally(*[0.001] * 9), mark(0, Tally(), "h"), instance="c")
    row = one_row(impact("h", [Wording(1, {"stages": CACHE})], [first, second, late]))
    assert (row["before"]["call_count"], row["before"]["processes"]) == (57, 2)
    assert (row["after"]["call_count"], row["after"]["processes"]) == (52, 3)


def test_every_wording_has_its_own_after_and_another_hijack_in_between_divides_nothing() -> None:
    a, b, c, d = (tally(*[0.01] * n) for n in (10, 30, 60, 100))
    marks = [
        mark(0, a, "h", version=4),
        mark(1, b, "h", "other", version=5, strategies=("cache", "log")),
        mark(2, c, "h", "other", version=9, strategies=("log", "log")),
    ]
    found = impact("h", [Wording(4, {"stages": CACHE}), Wording(8, {"stages": LOG})], [life(d, *marks)])
    first, second = (version["functions"][0] for version in found["versions"])
    assert (first["before"]["call_count"], first["after"]["call_count"], first["beside"]) == (10, 50, ["other"])
    assert (second["before"]["call_count"], second["after"]["call_count"]) == (10, 40)


def test_a_part_whose_marks_were_lost_belongs_to_nobody() -> None:
    marks = [mark(0, tally(*[0.01] * 10), "h"), mark(5, tally(*[0.01] * 90), "h")]
    found = impact("h", [Wording(1, {"stages": CACHE})], [life(tally(*[0.01] * 100), *marks)])
    assert (one_row(found)["after"]["call_count"], found["lost"]) == (10, 1)


def test_figures_older_than_the_mark_give_no_negative_calls() -> None:
    [before, after] = phases(life(tally(*[0.01] * 3), mark(0, tally(*[0.01] * 5), "h")))
    assert before is not None
    assert after is not None
    assert (before.tally.calls, after.tally.calls, after.tally.total_ns) == (5, 0, 0)


def test_processes_that_ended_before_stand_for_before_when_no_process_lived_then() -> None:
    new = life(tally(*[0.001] * 30), mark(0, Tally(), "h"), instance="new")
    old = life(tally(*[0.01] * 30), instance="old", last_ns=50)
    beside = life(tally(*[0.01] * 99), instance="beside", last_ns=5000)
    row = one_row(impact("h", [Wording(1, {"stages": CACHE})], [new, old, beside]))
    assert (row["before"]["call_count"], row["before"]["earlier_processes"]) == (30, True)


def test_what_was_saved_is_added_up_function_by_function() -> None:
    lives = [
        life(tally(*[slow] * 100, *[fast] * 100), mark(0, tally(*[slow] * 100), "h"), function=name)
        for name, slow, fast in (("m:f", 0.1, 0.05), ("m:g", 0.001, 0.002))
    ]
    found = impact("h", [Wording(1, {"stages": CACHE})], lives)["versions"][0]["sum"]
    assert found["saved_time"] == pytest.approx(100 * 0.05 - 100 * 0.001, rel=0.01)
    assert found["saved_low"] < found["saved_time"] < found["saved_high"]
    assert (found["functions"], found["told"], found["before"]["call_count"]) == (2, 2, 200)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([0.01] * 100, [0.005] * 100, "less"),
        ([0.01] * 100, [0.02] * 100, "more"),
        ([0.01] * 1000, [0.01] * 1000, "same"),
        ([0.01] * LEAST, [0.0101] * LEAST, "unclear"),
        ([0.01] * (LEAST - 1), [0.001] * 500, "unclear"),
        ([], [0.01] * 50, "unclear"),
    ],
)
def test_the_verdict_on_time_follows_the_interval(before: list[float], after: list[float], verdict: str) -> None:
    assert of_means(tally(*before), tally(*after)).verdict == verdict


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((50, 100), (0, 100), "less"),
        ((0, 100), (20, 100), "more"),
        ((0, 2000), (0, 2000), "same"),
        ((1, 50), (0, 50), "unclear"),
        ((9, 10), (0, 10), "unclear"),
    ],
)
def test_the_verdict_on_errors_follows_the_interval(
    before: tuple[int, int], after: tuple[int, int], verdict: str
) -> None:
    assert of_shares(before, after).verdict == verdict


def test_the_intervals_are_those_of_the_literature() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10.
    found = of_shares((48, 80), (56, 70))
    assert found.low == pytest.approx(0.0524, abs=1e-4)
    assert found.high == pytest.approx(0.3339, abs=1e-4)
    assert wilson(0, 10) == (pytest.approx(0.0, abs=1e-9), pytest.approx(0.2775, abs=1e-4))
    assert difference._t(20) == pytest.approx(2.086, abs=1e-3)
    assert difference._t(math.inf) == pytest.approx(1.95996, abs=1e-5)


def test_equal_calls_are_called_different_in_at_most_one_of_twenty_cases() -> None:
    source = random.Random(11)
    wrong = 0
    for _ in range(300):
        before, after = ([source.lognormvariate(-5, 0.6) for _ in range(60)] for _ in "ab")
        wrong += of_means(tally(*before), tally(*after)).verdict in ("less", "more")
    assert wrong <= 0.08 * 300


def test_the_variance_from_buckets_is_near_the_true_one() -> None:
    source = random.Random(3)
    values = [source.lognormvariate(-5, 1) for _ in range(5000)]
    exact = sum((v - sum(values) / len(values)) ** 2 for v in values) / len(values)
    assert variance(tally(*values)) == pytest.approx(exact, rel=0.25)
    assert math.sqrt(variance(tally(*[0.01] * 50))) <= 0.21 * 0.01


def test_a_report_with_marks_is_kept_and_answered_from_the_store_after_a_restart(start: Any) -> None:
    before = tally(*[0.01] * 25)
    sent = {"function": "m:f", "state": "attached", "kind": "function"}
    with start() as collector:
        identity = collector.post("/api/hijacks", {"target": "m:f", "stages": CACHE}, 201)["id"]
        marks = [mark(0, before, identity).to_json()]
        for _ in range(2):  # what is said twice counts once
            collector.report("i1", [{**sent, "hijacks": [identity], "marks": marks}])
        collector.settle()
        assert collector.parts.fleet.functions()[0].reports[0][1].marks == ()
    with start() as collector:
        row = one_row(collector.get(f"/api/hijacks/{identity}/impact"))
        assert (row["before"]["call_count"], row["after"]["call_count"]) == (25, 0)
        listed = collector.get("/api/analysis/impact", function="m:f")
        assert (listed["count"], listed["impacts"][0]["id"]) == (1, identity)
        assert collector.get("/api/analysis/impact", function="m:other")["count"] == 0


def test_marks_of_the_wrong_shape_are_refused_with_the_field(collector: Running) -> None:
    sent = [{"function": "m:f", "state": "attached", "marks": [{"number": "first"}]}]
    body = {"instance": "i", "service": "s", "stage": "p", "pid": 1, "version": 1, "complete": True, "functions": sent}
    reply = collector.client.post("/agent/v1/report", json=body)
    assert reply.status_code == 422
    assert reply.json()["error"]["field"].startswith("functions[0].marks[0]")


def test_marks_go_with_the_process_they_are_of_and_only_the_newest_stay(tmp_path: Path) -> None:
    now = [1000.0]
    store = SqliteStore(tmp_path / "t.db", max_age=100.0, clock=lambda: now[0])
    marks = [MarkRow("m:f", mark(number, Tally(), "h")) for number in range(MOST_MARKS + 10)]
    store.write([Incoming(Resource("shop", "i", "production", "{}"), marks=marks)])
    [found] = store.lives(LifeQuery(hijack="h"))
    assert [one.number for one in found.marks] == list(range(10, MOST_MARKS + 10))
    assert store.lives(LifeQuery(hijack="other")) == store.lives(LifeQuery(function="m:g")) == []
    now[0] += 1000.0
    store.retain(now[0])
    assert store.lives(LifeQuery()) == []
    store.close()
