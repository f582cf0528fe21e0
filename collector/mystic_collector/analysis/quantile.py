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
    return quantiles((share,), buckets, zero, low, high)[0]


def quantiles(shares: Sequence[float], buckets: Buckets, zero: int, low: float, high: float) -> list[float]:
    """Return the same for several shares, smallest first, in one walk."""
    offset, counts = buckets
    total = zero + sum(counts)
    if not total:
        return [0.0] * len(shares)
    found: list[float] = []
    below, waiting = zero, iter(shares)
    wanted = next(waiting) * total
    try:
        while wanted <= zero:
            found.append(float(low))
            wanted = next(waiting) * total
        for index, count in enumerate(counts, offset):
            while count and wanted - below <= count:
                found.append(float(min(max(2.0 ** (index + (wanted - below) / count), low), high)))
                wanted = next(waiting) * total
            below += count
    except StopIteration:
        return found
    return found + [float(high)] * (len(shares) - len(found))
