"""A hit in memory: ours, functools.lru_cache, cachetools, cashews and aiocache."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from functools import lru_cache
from statistics import median
from threading import Lock
from typing import Any

from mystic_agent.observe.trace import Tracer

from bench import own
from bench.calls import BARE
from bench.figure import Figure, Target
from bench.process import answered
from bench.rounds import Variant, measure
from bench.settings import offline
from bench.subject import fresh

TURNS, ROUNDS, SLOW_CALLS = 3, 41, 400
SECONDS, MOST = 3600, 100_000
OURS, STAGED, COPIED = (
    "Mystic",
    "Mystic, behind another strategy",
    "Mystic, a dictionary that every caller gets a copy of",
)
LRU, TTL, LOCKED = (
    "functools.lru_cache, which knows no time",
    "cachetools, TTLCache",
    "cachetools, TTLCache with a lock",
)
CASHEWS, AIOCACHE = "cashews, in memory", "aiocache, in memory"
TITLES = {
    "function": "Hit in a cache of the process, a whole call with two numbers",
    "coroutine": "Hit in a cache of the process, a whole call of a coroutine function",
}
AGAINST = {"function": (TTL, "× cachetools"), "coroutine": (AIOCACHE, "× aiocache")}
HALF = Target(0.5, "× cachetools")
THROUGH = {"fault": {"share": 0, "exception": "OSError"}}


def figures() -> list[Figure]:
    """Measure; nanoseconds of a whole call, since the function itself is not called."""
    turns = [answered("bench.caches", env=os.environ | offline()) for _ in range(TURNS)]
    found: list[Figure] = []
    for kind, title in TITLES.items():
        times, (peer, unit) = [turn[kind] for turn in turns], AGAINST[kind]
        found.append(Figure(title, BARE, median(one[BARE] for one in times), "ns", note="no cache"))
        for name in times[0]:
            if name != BARE:
                value, ratio = median(one[name] for one in times), median(one[name] / one[peer] for one in times)
                target = HALF if name == OURS and peer == TTL else None
                found.append(Figure(title, name, value, "ns", target, ratio, unit))
    return found


def _ours(kind: str, name: str, *before: object, function: Any = None) -> Variant:
    cached = {"cache": {"ttl": SECONDS, "max_entries": MOST}}
    return Variant(name, own.hooked(function or fresh(kind), Tracer(0), *before, cached))


def _dictionary(a: int, b: int) -> dict[str, int]:
    return {"a": a, "b": b}


def _functions() -> list[Variant]:
    from cachetools import TTLCache, cached

    return [
        Variant(BARE, fresh("function")),
        _ours("function", OURS),
        Variant(LRU, lru_cache(MOST)(fresh("function"))),
        Variant(TTL, cached(TTLCache(MOST, SECONDS))(fresh("function"))),
        Variant(LOCKED, cached(TTLCache(MOST, SECONDS), lock=Lock())(fresh("function"))),
        _ours("function", STAGED, THROUGH),
        _ours("function", COPIED, function=_dictionary),
    ]


def _coroutines() -> list[Variant]:
    return [
        Variant(BARE, fresh("coroutine")),
        _ours("coroutine", OURS),
        Variant(CASHEWS, _by_cashews(), SLOW_CALLS),
        Variant(AIOCACHE, _by_aiocache(), SLOW_CALLS),
        _ours("coroutine", STAGED, THROUGH),
    ]


def _by_cashews() -> Callable[..., Any]:
    from cashews import Cache

    cache = Cache()
    cache.setup("mem://", size=MOST, check_interval=SECONDS)
    return cache(ttl=SECONDS)(fresh("coroutine"))  # type: ignore[no-any-return]


def _by_aiocache() -> Callable[..., Any]:
    from aiocache import cached

    return cached(ttl=SECONDS)(fresh("coroutine"))  # type: ignore[no-any-return]


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())  # aiocache asks for one when it decorates
    print(
        json.dumps(
            {
                "function": measure("function", _functions(), ROUNDS, min),
                "coroutine": measure("coroutine", _coroutines(), ROUNDS, min),
            }
        )
    )
