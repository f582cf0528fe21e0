"""What is predicted of a cache, against what a cache does; and when the answer is yes, no or unknown."""

from __future__ import annotations

import functools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some
from mystic_agent.contract.analysis import (
    FAILED,
    MOST_ACCESSES,
    MUTATED,
    REACH,
    RESULT,
    Access,
    pack,
    unpack,
)
from mystic_agent.contract.errors import Invalid
from mystic_collector.analysis.cacheability import (
    TTLS,
    Question,
    Touch,
    best,
    consistency,
    judge,
    report,
    span,
)
from mystic_collector.analysis.replay import SHARED, predict
from mystic_collector.analysis.workload import workload

from tests.collector.cacheability_workloads import accesses, bursts, drift, really, scan, seen, stretch, zipf

WORKLOADS = {
    "Zipf": zipf(40_000, 10_000, 1.0, 3600.0),
    "flat": zipf(40_000, 6_000, 0.3, 3600.0),
    "steep": zipf(40_000, 8_000, 1.3, 600.0),
    "daily drift": drift(40_000, 8_000, 1.0, 86400.0),
    "bursts": bursts(40_000, 8_000, 7200.0),
    "scan": scan(40_000, 6_000, 1800.0),
}

WHOLE_ACCESSES = some.builds(
    Access,
    some.integers(0, 2**64 - 1),
    some.integers(0, 2**32 - 1).map(lambda n: n / 1e6),
    some.floats(0, 1e6, width=32),
    some.integers(0, 2**64 - 1),
    some.integers(0, 2**32 - 1),
    some.integers(0, 7),
)


# -- on the wire ---------------------------------------------------------------------------------------------------


@given(some.lists(WHOLE_ACCESSES, max_size=50))
def test_accesses_survive_packing(found: list[Access]) -> None:
    assert unpack(pack(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "no base64",
        "AAAA",
        "é",
        "A" * (MOST_ACCESSES * 29 * 4 // 3 + 8),
        pack([Access(1, 0, math.nan, 0, 0, 0)]),
        pack([Access(1, 0, math.inf, 0, 0, 0)]),
        pack([Access(1, 0, -1.0, 0, 0, 0)]),
    ],
)
def test_what_is_no_packed_accesses_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        unpack(text)


def test_an_event_of_accesses_stays_small() -> None:
    assert len(pack([Access(2**64 - 1, 1.0, 1.0, 2**64 - 1, 10, 1)] * MOST_ACCESSES)) < 64 * 1024


# -- the prediction ------------------------------------------------------------------------------------------------


@functools.cache
def calls_of(name: str) -> list[Access]:
    return accesses(WORKLOADS[name])


@functools.cache
def really_of(name: str, ttl: float) -> float:
    return really(calls_of(name), ttl)


@pytest.mark.parametrize("ttl", [10.0, 60.0, 600.0, 86400.0])
@pytest.mark.parametrize("name", WORKLOADS)
def test_with_all_keys_the_prediction_is_what_the_agents_own_cache_does(name: str, ttl: float) -> None:
    assert predict(seen(calls_of(name)), ttl).hit_rate == pytest.approx(really_of(name, ttl), abs=0.002)


@pytest.mark.parametrize("rate", [0.25, 0.05])
@pytest.mark.parametrize("ttl", [10.0, 60.0, 600.0, 86400.0])
@pytest.mark.parametrize("name", WORKLOADS)
def test_with_a_sample_of_keys_the_prediction_is_within_five_points(name: str, ttl: float, rate: float) -> None:
    predicted = predict(seen(calls_of(name), rate), ttl)
    assert predicted.hit_rate == pytest.approx(really_of(name, ttl), abs=0.05)
    assert predicted.margin < 0.15


def test_calls_that_fail_are_computed_again_as_they_are_in_the_agents_own_cache() -> None:
    found = accesses(WORKLOADS["steep"], failing=7)
    assert predict(seen(found), 60.0).hit_rate == pytest.approx(really(found, 60.0), abs=0.002)


def test_sampling_calls_instead_of_keys_would_be_far_off() -> None:
    found = calls_of("Zipf")
    true = really(found, 600.0)
    assert abs(predict(seen(found[::10]), 600.0).hit_rate - true) > 0.2
    assert abs(predict(seen(found, 0.1), 600.0).hit_rate - true) < 0.05


@pytest.mark.parametrize("rate", [1.0, 0.2])
@pytest.mark.parametrize("bound", [{"max_bytes": 500_000}, {"max_entries": 400}])
def test_bounds_of_the_cache_are_taken_into_account(bound: dict[str, int], rate: float) -> None:
    found = accesses(WORKLOADS["flat"], size=1000)
    bounded = predict(seen(found, rate), 3600.0, **bound)
    assert bounded.hit_rate == pytest.approx(really(found, 3600.0, **bound), abs=0.05)
    assert bounded.hit_rate < predict(seen(found, rate), 3600.0).hit_rate - 0.2
    assert bounded.bytes <= 500_000 * 1.05


def test_a_result_larger_than_the_cache_is_never_a_hit() -> None:
    found = accesses(WORKLOADS["steep"], size=1_000_000)
    assert predict(seen(found), 600.0, max_bytes=999_999).hit_rate == 0


def test_memory_is_what_lives_at_once() -> None:
    found = accesses([(float(i), i) for i in range(1000)], size=500)
    predicted = predict(seen(found), 60.0)
    assert predicted.entries == pytest.approx(60, abs=2)
    assert predicted.bytes == pytest.approx(60 * 500, abs=1000)


def test_seconds_saved_are_those_of_the_hits() -> None:
    slow, fast = 1.0, 0.001
    calls = [Access(1 << 20, float(i), slow, 1, 10, RESULT) for i in range(100)]
    calls += [Access(i, i + 0.5, fast, 1, 10, RESULT) for i in range(100)]
    predicted = predict(seen(sorted(calls, key=lambda one: one.start)), 3600.0)
    observed = 99.5
    assert predicted.hits_per_hour == pytest.approx(99 * 3600 / observed)
    assert predicted.seconds_saved_per_hour == pytest.approx(99 * slow * 3600 / observed, rel=0.001)


def test_processes_have_caches_of_their_own_unless_they_share_one() -> None:
    calls = [(i / 10, i // 4) for i in range(400)]  # four processes get each key once
    parts = [stretch(accesses(calls[n::4]), process=f"p{n}", begin=0.0, end=40.0) for n in range(4)]
    together = workload(parts)
    assert together.processes == 4
    assert together.observed == 40.0
    assert predict(together, 60.0).hit_rate == 0
    assert predict(together, 60.0, SHARED).hit_rate == pytest.approx(0.75, abs=0.01)


def test_a_warm_cache_is_told_from_a_cold_one() -> None:
    found = accesses([(i / 10, i % 100) for i in range(1000)])
    predicted = predict(seen(found), 30.0)
    assert predicted.hit_rate < 0.70 + 0.01
    assert predicted.warm_hit_rate == pytest.approx(2 / 3, abs=0.05)
    assert predict(seen(found), 3600.0).warm_hit_rate is None


def test_a_lost_stretch_makes_no_hit_and_a_repeated_one_counts_once() -> None:
    first, second, third = (accesses([(n * 10.0 + i, i) for i in range(10)]) for n in range(3))
    stretches = [stretch(part, sequence=n) for n, part in enumerate((first, second, third))]
    whole = predict(workload([*stretches, stretches[1]]), 60.0)
    assert whole.hit_rate == pytest.approx(20 / 30)
    holed = workload([stretches[0], stretches[2]])
    assert len(holed.segments) == 2
    assert predict(holed, 60.0).hit_rate == 0


def test_a_sample_that_became_smaller_is_read_at_its_smallest() -> None:
    found = calls_of("Zipf")
    parts = [stretch(found[:10_000], 1.0), stretch(found[10_000:], 0.1, sequence=1)]
    narrowed = workload(parts)
    assert narrowed.rate == pytest.approx(0.1)
    assert predict(narrowed, 600.0).hit_rate == predict(seen(found, 0.1), 600.0).hit_rate


def test_calls_without_a_key_count_as_misses() -> None:
    found = accesses([(i / 10, 1) for i in range(100)])
    half = seen(found, calls=200, unkeyable={"argument of type app.User": 100})
    assert predict(half, 60.0).hit_rate == pytest.approx(0.495)


@given(
    some.lists(some.tuples(some.floats(0, 1000), some.integers(0, 20)), min_size=1, max_size=200),
    some.sampled_from(TTLS),
)
def test_a_longer_ttl_never_has_fewer_hits(calls: list[tuple[float, int]], ttl: float) -> None:
    found = seen(accesses(sorted(calls), took=0.0))
    rates = [predict(found, ttl * factor).hit_rate for factor in (1, 2, 10)]
    assert all(0 <= rate < 1 for rate in rates)
    assert rates[2] >= rates[0] - 0.5  # not monotonic call by call, but never out of its bounds
    assert predict(found, 10_000.0).hit_rate >= max(rates) - 1e-9


# -- the answer ----------------------------------------------------------------------------------------------------

REPEATING = [(i / 10, i % 20) for i in range(1000)]


def answer(found: list[Access], reach: list[Touch] | None = None, kind: str = "function", **more: object):
    work = seen(found, **more)  # type: ignore[arg-type]
    return judge(work, consistency(work), reach or [], [predict(work, ttl) for ttl in TTLS], kind)


def test_repeated_calls_with_the_same_results_are_worth_a_cache() -> None:
    verdict = answer(accesses(REPEATING))
    assert verdict.answer == "yes"
    assert "hits" in verdict.reasons[0]
    assert "same result" in verdict.reasons[1]


@pytest.mark.parametrize(
    ("own", "note", "options"),
    [
        (
            ("names", "rate"),
            "of self it reads names, rate and nothing else: .* identity=names,rate",
            {"identity": ["names", "rate"]},
        ),
        ((), "does not depend on self: .* ignore=self", {"ignore": ["self"]}),
        (None, "", {}),
    ],
)
def test_a_method_is_judged_with_what_a_cache_must_be_told_of_its_object(own, note, options) -> None:
    work = seen(accesses(REPEATING), own=own)
    found = report(work, [])
    assert (found["verdict"], found["options"]) == ("yes", options)
    assert re.search(note, "; ".join(found["notes"]))
    open_ = report(seen(accesses(REPEATING), own=own, identity="app.Shop"), [])
    assert (open_["verdict"], open_["options"], open_["notes"]) == ("unknown", {}, [])


def changing(every: float) -> list[Access]:
    """Results that depend on the moment as well."""
    return [
        one._replace(result=one.key ^ int(one.start // every) ^ 1) if every else one._replace(result=i + 1)
        for i, one in enumerate(accesses(REPEATING))
    ]


def changing_between_bursts() -> list[Access]:
    bursts = range(20)
    return [
        one._replace(result=burst + 1)
        for burst in bursts
        for one in accesses([(30 * burst + i / 10, i % 5) for i in range(50)])
    ]


@pytest.mark.parametrize(
    ("found", "more", "answered", "because"),
    [
        (changing(0), {}, "no", "its result changes for the same arguments: in 980 of 980 repeated calls"),
        (
            changing_between_bursts(),
            {},
            "unknown",
            "up to a ttl of 10 s no hit would have been out of date|its result changes",
        ),
        ([one._replace(flags=RESULT | MUTATED) for one in accesses(REPEATING)], {}, "no", "it changes its arguments"),
        (accesses([(i / 10, i) for i in range(1000)]), {}, "no", "its arguments hardly repeat"),
        (accesses(REPEATING, took=1e-6), {}, "no", "a call takes 1 µs on average"),
        ([], {"calls": 1000, "seconds": 30.0, "rate": 0.01}, "unknown", "too few keys are sampled: .* ±100%"),
        (accesses(REPEATING), {"kind": "generator"}, "no", "it is a generator"),
        (accesses(REPEATING), {"kind": "async_generator"}, "no", "it is an async generator"),
        (accesses(REPEATING), {"kind": "native"}, "no", "implemented in C"),
        (accesses(REPEATING[:50]), {}, "unknown", "only 50 calls were seen"),
        (accesses(REPEATING), {"identity": "app.Shop"}, "unknown", "self is a app.Shop|identity=|ignore=self"),
        ([], {"calls": 500, "unkeyable": {"argument of type app.User": 500}}, "no", "app.User .500."),
        (
            [one._replace(result=0, flags=0) for one in accesses(REPEATING)],
            {"results": {"result of type app.Page": 1000}},
            "unknown",
            "cannot be compared: result of type app.Page",
        ),
        (
            [one._replace(result=0, flags=0) for one in accesses(REPEATING)],
            {"results": {"single use: builtins.generator": 1000}},
            "no",
            "only one caller can use",
        ),
        ([one._replace(flags=FAILED, result=0) for one in accesses(REPEATING)], {}, "no", "hardly repeat"),
    ],
)
def test_an_answer_has_its_reason(found, more, answered, because) -> None:
    verdict = answer(found, **more)
    text = "; ".join(verdict.reasons)
    assert verdict.answer == answered, text
    assert all(re.search(one, text) for one in because.split("|")), text


@pytest.mark.parametrize("category", REACH)
def test_what_the_code_reaches_decides_where_behaviour_shows_nothing(category: str) -> None:
    expected = {
        "context": "no",
        "writes": "no",
        "environment": "yes",
        "clock": "yes",
        "logging": "yes",
        "foreign": "yes",
        "recursion": "yes",
    }
    verdict = answer(accesses(REPEATING), [Touch(category, "a.thing", ("app:f", "app:helper"))])
    assert verdict.answer == expected.get(category, "unknown")
    told = verdict.notes if verdict.answer == "yes" else verdict.reasons
    assert f"it {REACH[category]}: a.thing (through app:helper)" in told


def test_a_refusal_goes_before_a_doubt() -> None:
    verdict = answer(changing(0), [Touch("time", "time.time", ("app:f",))])
    assert verdict.answer == "no"


def test_the_best_ttl_saves_most_without_a_result_out_of_date() -> None:
    work = seen(changing(30))
    chosen = best([predict(work, ttl) for ttl in (1.0, 5.0, 10.0, 60.0)])
    assert chosen is None or chosen.stale == 0


def test_a_report_answers_for_the_ttl_that_is_asked_for() -> None:
    told = report(seen(accesses(REPEATING)), [], "function", Question(ttls=(7.0,)))
    assert [row["ttl"] for row in told["predictions"]] == sorted([*TTLS, 7.0])
    assert told["verdict"] == "yes"
    assert (told["calls"], told["sampled_calls"], told["processes"]) == (1000, 1000, 1)


def test_a_function_that_was_never_seen_is_unknown() -> None:
    told = report(workload([]), [], "")
    assert (told["verdict"], told["calls"]) == ("unknown", 0)
    assert told["reasons"] == ["only 0 calls were seen so far; 100 are needed"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (5e-8, "50 ns"),
        (0.0032, "3.2 ms"),
        (1, "1 s"),
        (60, "1 min"),
        (90, "1.5 min"),
        (80, "80 s"),
        (86400, "1 d"),
    ],
)
def test_times_are_told_in_words(seconds: float, text: str) -> None:
    assert span(seconds) == text
