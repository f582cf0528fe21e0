"""What a cache would do to calls that were seen: hits, time saved, memory, and results that would be out of date.

The calls of a sample of the keys go through a small cache of the same rules as the agent's: a result is served from
when it was there until its ttl is over, calls that come meanwhile wait for it, failures are not kept, and the entries
stored longest ago go first when there is no room. Sizes are scaled by the sample's share (Waldspurger et al., "Cache
Modeling and Optimization using Miniature Simulations", ATC '17).

What is known of a sample is carried over to all calls by regression on the number of calls of each key, because the
number of all calls is known exactly (Cochran, "Sampling Techniques", chapter 7). Where far fewer calls fell on the
sample than its share, a hot key is not in it; hot keys have many hits and few misses, so those calls count as hits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt

from mystic_agent.contract.analysis import FAILED, RESULT, Access

from mystic_collector.analysis.workload import Segment, Workload, together

PROCESS, SHARED = "process", "shared"
HIT_SECONDS = {PROCESS: 3e-6, SHARED: 1e-3}
"""What serving a kept result costs: from memory, and at most from another process."""

MAX_BYTES, MAX_ENTRIES = 64 * 2**20, 100_000
"""The defaults of the strategy ``cache``."""

_USUAL = 2.0  # standard errors by which a sample may differ without a hot key being missing
_CERTAIN = 1.96  # standard errors around 95 % of a normal distribution


@dataclass(slots=True)
class Tally:
    """What happened to the sampled accesses.

    Attributes:
        rate: share of the keys that are sampled.
        misses: calls that would still run, with the seconds they took in ``miss_seconds``.
        stale: hits whose real result was another than the one that would have been served; of ``compared`` hits.
        warm, warm_misses: calls, and misses, after the first ttl of each segment.
        peak_bytes, peak_entries: at most at once, in one cache.
        called, missed: by key.
    """

    rate: float = 1.0
    hits: int = 0
    misses: int = 0
    miss_seconds: float = 0.0
    compared: int = 0
    stale: int = 0
    warm: int = 0
    warm_misses: int = 0
    peak_bytes: float = 0.0
    peak_entries: float = 0.0
    called: Counter[int] = field(default_factory=Counter)
    missed: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a cache with one ttl would do.

    Attributes:
        ttl: seconds.
        scope: ``process`` or ``shared``.
        hit_rate: of all calls, over what was observed, beginning with an empty cache.
        warm_hit_rate: of the calls after the first ttl; None when less was observed.
        margin: with 95 % certainty ``hit_rate`` is within this; from the sampling of keys alone.
        hits_per_hour, seconds_saved_per_hour: of all processes together.
        entries, bytes: that one cache would hold at most.
        compared, stale: of the sampled hits those with a comparable result, and those whose result had changed.
    """

    ttl: float
    scope: str
    hit_rate: float
    warm_hit_rate: float | None
    margin: float
    hits_per_hour: float
    seconds_saved_per_hour: float
    entries: int
    bytes: int
    compared: int
    stale: int


def predict(
    seen: Workload,
    ttl: float,
    scope: str = PROCESS,
    max_bytes: int = MAX_BYTES,
    max_entries: int = MAX_ENTRIES,
) -> Prediction:
    """Return what a cache with ``ttl`` seconds would do to ``seen``."""
    tally, rate = Tally(seen.rate), seen.rate
    for segment in seen.segments if scope == PROCESS else together(seen.segments):
        _replay(segment, ttl, max_bytes * rate, max(max_entries * rate, 1.0), tally)
    calls, unkeyable = seen.calls, seen.calls - seen.keyable
    misses, spread = _extrapolated(tally, seen.keyable)
    hits = seen.keyable - misses
    mean = seen.seconds / calls if calls else 0.0
    lost = misses * tally.miss_seconds / tally.misses if tally.misses else 0.0
    saved = max(seen.seconds - lost - unkeyable * mean, 0.0) if hits else 0.0
    per_hour = 3600.0 / seen.observed if seen.observed else 0.0
    return Prediction(
        ttl=ttl,
        scope=scope,
        hit_rate=hits / calls if calls else 0.0,
        warm_hit_rate=_warm(tally, seen, misses),
        margin=min(_CERTAIN * spread / calls, 1.0) if calls else 1.0,
        hits_per_hour=hits * per_hour,
        seconds_saved_per_hour=(saved - hits * HIT_SECONDS[scope]) * per_hour,
        entries=round(tally.peak_entries / rate),
        bytes=round(tally.peak_bytes / rate),
        compared=tally.compared,
        stale=tally.stale,
    )


def _extrapolated(tally: Tally, calls: int) -> tuple[float, float]:
    """Return the misses of all keys, given the exact number of calls, with the standard error of that."""
    rate, called, missed = tally.rate, tally.called, tally.missed
    squares = sum(count * count for count in called.values())
    if not squares:
        return float(calls), float(calls)
    slope = sum(missed[key] * count for key, count in called.items()) / squares
    spread = sqrt((1 - rate) * squares) / rate  # of the number of calls that the sample stands for
    beyond = calls - sum(called.values()) / rate
    misses = tally.misses / rate + slope * min(beyond, _USUAL * spread)
    error = sqrt((1 - rate) * sum((missed[key] - slope * count) ** 2 for key, count in called.items())) / rate
    return min(max(misses, 0.0), float(calls)), error


def _warm(tally: Tally, seen: Workload, misses: float) -> float | None:
    """Return the hit rate once the cache has been on for a ttl: misses are as much rarer as among the sampled calls."""
    if not tally.warm or not tally.misses:
        return None
    rarer = (tally.warm_misses / tally.warm) / (tally.misses / sum(tally.called.values()))
    return max(seen.keyable - misses * rarer, 0.0) / seen.calls


def _replay(segment: Segment, ttl: float, room: float, most: float, tally: Tally) -> None:
    live: dict[int, tuple[float, Access]] = {}  # by key: when it ends, and the call that made it; oldest first
    held, warm_from = 0, segment.begin + ttl
    for access in segment.accesses:
        while live and next(iter(live.values()))[0] <= access.start:  # as a cache that is swept would
            held -= live.pop(next(iter(live)))[1].size
        found = live.get(access.key)
        if found is not None and found[0] <= access.start:  # stored later than a slower call that is still live
            del live[access.key]
            held, found = held - found[1].size, None
        tally.called[access.key] += 1
        if access.start >= warm_from:
            tally.warm += 1
            tally.warm_misses += found is None
        if found is not None:
            _hit(access, found[1], tally)
            continue
        tally.misses += 1
        tally.miss_seconds += access.seconds
        tally.missed[access.key] += 1
        if access.flags & FAILED or access.size > room / tally.rate:
            continue
        while live and (held + access.size > room or len(live) >= most):
            held -= live.pop(next(iter(live)))[1].size
        live[access.key] = (access.start + access.seconds + ttl, access)
        held += access.size
        tally.peak_bytes = max(tally.peak_bytes, held)
        tally.peak_entries = max(tally.peak_entries, len(live))


def _hit(access: Access, kept: Access, tally: Tally) -> None:
    tally.hits += 1
    if access.flags & kept.flags & RESULT:
        tally.compared += 1
        tally.stale += access.result != kept.result
