"""Is one lot of calls different from another, and are there enough of them to tell? Intervals of 95 %.

Means: Welch's interval for two samples of unequal variance (B. L. Welch, Biometrika 34, 1947; NIST/SEMATECH
e-Handbook of Statistical Methods, 1.3.5.3). The mean is exact. The variance comes from power-of-two buckets, within
which calls are taken to be spread evenly on a logarithmic scale, stretched to the exact mean: for calls of equal
length it is too large by 0.2 of the mean in standard deviation, so the interval is rather too wide than too narrow.

Shares (errors, hits): Newcombe's interval from two Wilson scores (R. G. Newcombe, Statistics in Medicine 17, 1998,
method 10), which holds for few calls and for shares near 0.

Both take calls to be independent of one another. Calls of one burst are alike, and then the true interval is wider.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from mystic_collector.store.life_records import Tally

LEAST = 20
"""Calls on each side below which nothing is said about a difference."""

SAME_WITHIN = 0.10
"""Of the mean before: an interval that lies within this distance of no change means that there is none to speak of."""

SAME_SHARE = 0.01
"""The same for shares."""

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Difference:
    """After minus before.

    Attributes:
        value: the difference; None when one side has no calls.
        low, high: of the 95 % interval; None when there are too few calls for one.
        verdict: less, more, same, or unclear.
        why: of an unclear verdict.
    """

    value: float | None
    low: float | None
    high: float | None
    verdict: str
    why: str = ""


def of_means(before: Tally, after: Tally) -> Difference:
    """Compare the mean duration of timed calls, in seconds."""
    if not before.timed or not after.timed:
        return _too_few(None, before.timed, after.timed)
    value = mean(after) - mean(before)
    if min(before.timed, after.timed) < LEAST:
        return _too_few(value, before.timed, after.timed)
    a, b = variance(before) / before.timed, variance(after) / after.timed
    freedom = (a + b) ** 2 / (a**2 / (before.timed - 1) + b**2 / (after.timed - 1)) if a + b else math.inf
    half = _t(freedom) * math.sqrt(a + b)
    return _judged(value, value - half, value + half, SAME_WITHIN * mean(before), before.timed, after.timed)


def of_shares(before: tuple[int, int], after: tuple[int, int]) -> Difference:
    """Compare two shares, each given as (how many, of how many)."""
    if not before[1] or not after[1]:
        return _too_few(None, before[1], after[1])
    p, q = before[0] / before[1], after[0] / after[1]
    value = q - p
    if min(before[1], after[1]) < LEAST:
        return _too_few(value, before[1], after[1])
    (low_p, high_p), (low_q, high_q) = wilson(*before), wilson(*after)
    low = value - math.hypot(q - low_q, high_p - p)
    high = value + math.hypot(high_q - q, p - low_p)
    return _judged(value, low, high, SAME_SHARE, before[1], after[1])


def mean(tally: Tally) -> float:
    """Return the mean duration of the timed calls, in seconds; 0 without any."""
    return tally.total_ns / tally.timed * 1e-9 if tally.timed else 0.0


def variance(tally: Tally) -> float:
    """Return the variance of the timed calls, in seconds squared, as the module says."""
    offset, counts = tally.buckets
    first = second = 0.0
    for index, count in enumerate(counts, offset):
        low = 2.0**index * 1e-9
        first += count * low / math.log(2)  # the mean of 1/x on [low, 2 low] is low / ln 2,
        second += count * 3 * low**2 / (2 * math.log(2))  # and that of its square 3 low**2 / (2 ln 2)
    if not first:
        return 0.0
    exact = mean(tally)
    stretched = second / tally.timed * (exact / (first / tally.timed)) ** 2
    return max(0.0, stretched - exact**2)


def wilson(found: int, of: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share."""
    share, z2 = min(found, of) / of, _Z**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def _t(freedom: float) -> float:
    """Return the 97.5 % point of Student's t, by Abramowitz and Stegun 26.7.5; good to 0.001 from 10 degrees on."""
    z, v = _Z, max(freedom, 1.0)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / v**power for power, term in enumerate(terms, 1))


def _judged(value: float, low: float, high: float, same: float, *calls: int) -> Difference:
    if high < 0 or low > 0:
        return Difference(value, low, high, "less" if high < 0 else "more")
    if -same <= low and high <= same:
        return Difference(value, low, high, "same")
    why = f"{calls[0]} and {calls[1]} calls are too few for what is between them: it could be either way"
    return Difference(value, low, high, "unclear", why)


def _too_few(value: float | None, before: int, after: int) -> Difference:
    sides = [f"{count} {side}" for count, side in ((before, "before"), (after, "after")) if count < LEAST]
    why = f"too few calls: {' and '.join(sides)}, where {LEAST} are needed"
    return Difference(value, None, None, "unclear", why)
