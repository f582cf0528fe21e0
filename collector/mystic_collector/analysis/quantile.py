"""Quantiles from power-of-two buckets."""

from __future__ import annotations

from collections.abc import Sequence

Buckets = tuple[int, Sequence[int]]


def quantile(share: float, buckets: Buckets, zero: int, low: float, high: float) -> float:
    """Return the value in ns below which ``share`` of the calls lie.

    Within a bucket, which spans a factor of two, calls are taken to be spread evenly on a logarithmic scale;
    the answer lies between the exact extremes.

    Args:
        share: 0 to 1.
        buckets: (offset, counts): ``counts[i]`` calls lasted 2**(offset+i) < ns <= 2**(offset+i+1).
        zero: calls of 0 ns.
        low, high: exact extremes in ns.
    """
    offset, counts = buckets
    total = zero + sum(counts)
    if not total:
        return 0.0
    rank = share * total - zero
    if rank <= 0:
        return float(low)
    for index, count in enumerate(counts, offset):
        if count and rank <= count:
            return float(min(max(2.0 ** (index + rank / count), low), high))
        rank -= count
    return float(high)
