"""Workloads to predict from, and what a real cache of the agent does to the same calls."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Sequence

from mystic_agent.cache.memory import Entry, Memory
from mystic_agent.contract.analysis import FAILED, RESULT, WHOLE, Access
from mystic_collector.analysis.workload import Stretch, Workload, workload

Call = tuple[float, int]
"""(seconds, key)"""


def zipf(count: int, keys: int, skew: float, seconds: float, seed: int = 1) -> list[Call]:
    """Keys by Zipf's law, at random moments."""
    source = random.Random(seed)
    weights = list(itertools.accumulate(1 / rank**skew for rank in range(1, keys + 1)))
    return list(zip(moments(source, count, seconds), source.choices(range(keys), cum_weights=weights, k=count)))


def drift(count: int, keys: int, skew: float, seconds: float, seed: int = 2) -> list[Call]:
    """Zipf, with the popular keys moving on over the day."""
    return [(at, key + int(at / seconds * keys)) for at, key in zipf(count, keys, skew, seconds, seed)]


def bursts(count: int, keys: int, seconds: float, seed: int = 3) -> list[Call]:
    """Each key is asked for many times in a short while, and then never again; over background noise."""
    source = random.Random(seed)
    found: list[Call] = []
    while len(found) < count:
        begin, key = source.uniform(0, seconds), source.randrange(keys, 100 * keys)
        found += [(begin + source.expovariate(1), key) for _ in range(source.randrange(2, 30))]
        found.append((source.uniform(0, seconds), source.randrange(keys)))
    return sorted((at, key) for at, key in found if at < seconds)


def scan(count: int, keys: int, seconds: float) -> list[Call]:
    """One key after the other, round and round."""
    return [(seconds * i / count, i % keys) for i in range(count)]


def moments(source: random.Random, count: int, seconds: float) -> list[float]:
    return sorted(source.uniform(0, seconds) for _ in range(count))


def digest(key: int) -> int:
    return int.from_bytes(hashlib.blake2b(str(key).encode(), digest_size=8).digest(), "little")


def accesses(calls: Iterable[Call], took: float = 0.01, size: int = 1000, failing: int = 0) -> list[Access]:
    """The accesses of all keys; with ``failing``, each key divisible by it always fails."""
    found = []
    for at, key in calls:
        failed = bool(failing) and key % failing == 0
        found.append(
            Access(digest(key), at, took, 0 if failed else digest(key) ^ 1, size, FAILED if failed else RESULT)
        )
    return found


def seen(
    found: Sequence[Access],
    rate: float = 1.0,
    *,
    calls: int | None = None,
    seconds: float | None = None,
    process: str = "p1",
    **more: object,
) -> Workload:
    """What an agent that samples ``rate`` of the keys tells of these accesses."""
    return workload([stretch(found, rate, calls=calls, seconds=seconds, process=process, **more)])


def stretch(
    found: Sequence[Access],
    rate: float = 1.0,
    *,
    calls: int | None = None,
    seconds: float | None = None,
    process: str = "p1",
    sequence: int = 0,
    begin: float | None = None,
    end: float | None = None,
    **more: object,
) -> Stretch:
    threshold = round(rate * WHOLE)
    return Stretch(
        process=process,
        session=process,
        sequence=sequence,
        threshold=threshold,
        begin=(found[0].start if found else 0.0) if begin is None else begin,
        end=(found[-1].start if found else 0.0) if end is None else end,
        calls=len(found) if calls is None else calls,
        seconds=sum(one.seconds for one in found) if seconds is None else seconds,
        accesses=[one for one in found if one.key < threshold],
        **more,  # type: ignore[arg-type]
    )


def really(found: Sequence[Access], ttl: float, max_bytes: int = 2**40, max_entries: int = 2**40) -> float:
    """The hit rate of the agent's own memory, given the same calls one after the other."""
    now = [0]
    memory = Memory(max_bytes, max_entries, clock=lambda: now[0])
    hits = 0
    for one in found:
        now[0] = round(one.start * 1e9)
        entry = memory.find(one.key)
        if entry is not None:
            hits += 1
        elif not one.flags & FAILED:
            now[0] += round(one.seconds * 1e9)
            memory.put(one.key, Entry(now[0] + round(ttl * 1e9), None, False, True, one.size, None))
    return hits / len(found)
