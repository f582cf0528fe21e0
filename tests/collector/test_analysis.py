"""Figures computed from what was kept."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as some
from mystic_collector.analysis.hotspots import figures
from mystic_collector.analysis.quantile import quantile, quantiles
from mystic_collector.otlp.points import rescale
from mystic_collector.store.buckets import add, pack, subtract, unpack
from mystic_collector.store.records import FunctionTotals

BUCKETS = some.tuples(some.integers(0, 40), some.lists(some.integers(0, 1000), max_size=20))


def bucketed(values: list[int]) -> tuple[int, list[int]]:
    counts = [0] * 63
    for value in values:
        counts[max(math.ceil(math.log2(value)) - 1, 0)] += 1
    return 0, counts


def test_a_quantile_is_within_a_factor_of_two_of_the_true_one() -> None:
    source = random.Random(5)
    values = sorted(int(source.lognormvariate(12, 2)) + 1 for _ in range(5000))
    for share in (0.01, 0.5, 0.9, 0.95, 0.99, 1.0):
        true = values[min(len(values) - 1, math.ceil(share * len(values)) - 1)]
        found = quantile(share, bucketed(values), 0, values[0], values[-1])
        assert true / 2 <= found <= true * 2


@given(BUCKETS, some.floats(0, 1), some.integers(0, 5))
def test_quantiles_grow_and_stay_between_the_extremes(buckets: tuple[int, list[int]], share: float, zero: int) -> None:
    low, high = 1.0, 2.0**61
    found = quantile(share, buckets, zero, low, high)
    assert found == 0.0 or low <= found <= high
    assert found <= quantile(1.0, buckets, zero, low, high)
    shares = sorted((0.0, share, 0.5, 0.95, 1.0))
    each = [quantile(one, buckets, zero, low, high) for one in shares]
    assert quantiles(shares, buckets, zero, low, high) == each == sorted(each)


@given(BUCKETS, BUCKETS)
def test_buckets_add_subtract_and_survive_packing(a: tuple[int, list[int]], b: tuple[int, list[int]]) -> None:
    both = add((a, b))
    assert sum(both[1]) == sum(a[1]) + sum(b[1])
    assert subtract(both, b) == add((a,))
    offset, counts = unpack(pack(both))
    assert (offset, list(counts)) == (both[0], list(both[1]))


@given(some.integers(0, 6), some.integers(0, 100), some.lists(some.integers(0, 50), max_size=40))
def test_a_finer_scale_is_read_without_losing_a_call(scale: int, offset: int, counts: list[int]) -> None:
    low, found = rescale(scale, offset, counts)
    assert sum(found) == sum(counts)
    if any(counts):
        first = next(index for index, count in enumerate(counts, offset) if count)
        assert low == min(first >> scale, 62)


def test_calls_served_from_a_cache_count_and_weigh_nothing() -> None:
    totals = FunctionTotals(
        "s", "m:f", 2, 6, 1, 4_000, 1_000, 3_000, 0, (9, [1, 1]), {("cache", "hit", ""): 6, ("cache", "miss", ""): 2}
    )
    found = figures(totals)
    assert (found["call_count"], found["timed_count"], found["exceptions"]) == (8, 2, 1)
    assert found["avg_time"] == pytest.approx(4_000e-9 / 8)
    assert found["decisions"][0] == {"strategy": "cache", "decision": "hit", "count": 6}


def test_a_function_that_was_never_called_has_figures_of_zero() -> None:
    found = figures(FunctionTotals("s", "m:f"))
    assert (found["call_count"], found["avg_time"], found["p99"], found["last_called"]) == (0, 0.0, 0.0, None)
