"""A hit that another process has computed: ours at the collector, diskcache and redis; by the clock.

The servers run on the core beside. Each round asks for the same results; a round in which a result had to be computed
says nothing about hits and is left out.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic, perf_counter_ns
from typing import Any

from mystic_agent.cache.sealed import Seal
from mystic_agent.cache.shared import Shared
from mystic_agent.link.endpoint import Destination
from mystic_agent.link.shelf import CollectorShelf
from mystic_agent.observe.trace import Tracer

from bench import own, redis
from bench.figure import Figure
from bench.process import BESIDE, MEASURED, answered, serving
from bench.settings import PROJECT, clean

TITLE = "Hit in a cache that processes share, a whole call with two numbers, by the clock"
RESULTS, ROUNDS, SECONDS, PATIENCE = 200, 25, 3600, 30.0
OURS, OURS_ASYNC = "Mystic, absent here, kept at the collector", "the same, a coroutine function"
AFTER = "Mystic, asked for again"
DISKCACHE, REDIS = "diskcache, memoize", "redis, GET and unpickle"
SECRET = "a secret of the bench's own"
Round = Callable[[], None]


def figures() -> list[Figure]:
    """Measure; microseconds of a whole call, the least of the rounds."""
    env = clean() | {"PYTHONPATH": str(PROJECT / "tests")}
    with ExitStack() as undo:
        folder = undo.enter_context(tempfile.TemporaryDirectory())
        collecting = [sys.executable, "-m", "bench.collector", f"{folder}/data"]
        collector = undo.enter_context(serving(collecting, env, PROJECT, BESIDE))
        port = undo.enter_context(redis.served(folder))
        taken = answered("bench.shared", str(collector.port), str(port), folder, env=env, core=MEASURED)
    if not port:
        print(f"bench: {REDIS} is left out: there is no {redis.PROGRAM} on the path", file=sys.stderr)
    return [Figure(TITLE, name, us, "µs", None, us / taken[DISKCACHE], "× diskcache") for name, us in taken.items()]


_computed = 0


def _sum(a: int, b: int) -> int:
    global _computed
    _computed += 1
    return a + b


async def _sum_async(a: int, b: int) -> int:
    return _sum(a, b)


def _asking(call: Callable[[int, int], Any]) -> Round:
    def asked() -> None:
        for number in range(RESULTS):
            call(1, number)

    return asked


class _Ours:
    """A function with our shared cache, and what this process keeps of it."""

    def __init__(self, shelf: CollectorShelf, function: Any) -> None:
        self._keep: dict[Any, Any] = {}
        shared, strategy = Shared(shelf, Seal(SECRET, "bench")), {"cache": {"ttl": SECONDS, "scope": "shared"}}
        self.call = own.hooked(function, Tracer(0), strategy, shared=shared, keep=self._keep)

    def forget(self) -> None:
        """Lose what is in memory, as another process would not have it."""
        for memory in self._keep.values():
            memory.clear()


def _rounds(collector: int, port: int, folder: str, runner: asyncio.Runner) -> Iterator[tuple[str, Round, Round]]:
    """Yield what is measured: its name, what is done before each round, and the round."""
    import diskcache

    shelf = CollectorShelf(Destination("127.0.0.1", collector), patience=1.0)
    sync, coroutine = _Ours(shelf, _copy(_sum)), _Ours(shelf, _copy(_sum_async))

    async def asked() -> None:
        for number in range(RESULTS):
            await coroutine.call(1, number)

    yield OURS, sync.forget, _asking(sync.call)
    yield OURS_ASYNC, coroutine.forget, lambda: runner.run(asked())
    yield AFTER, _nothing, _asking(sync.call)
    yield DISKCACHE, _nothing, _asking(diskcache.Cache(f"{folder}/diskcache").memoize(expire=SECONDS)(_sum))
    if port:
        yield REDIS, _nothing, _asking(_by_redis(port))
    shelf.stop(1.0)


def _nothing() -> None:
    return


def _copy(function: Any) -> Any:
    """Return a function of the same code that can be hooked without touching the first."""
    return type(function)(function.__code__, globals(), function.__name__)


def _by_redis(port: int) -> Callable[[int, int], int]:
    from redis import Redis

    client = Redis("127.0.0.1", port)

    def asked(a: int, b: int) -> int:
        key = f"sum:{a}:{b}"
        held = client.get(key)
        if held is not None:
            return pickle.loads(held)  # type: ignore[no-any-return]
        result = _sum(a, b)
        client.set(key, pickle.dumps(result), ex=SECONDS)
        return result

    return asked


def _least(before: Round, work: Round) -> float:
    """Return the microseconds of one call in the quickest round that computed nothing.

    Raises:
        RuntimeError: when there was none.
    """
    deadline, taken = monotonic() + PATIENCE, list[float]()
    while len(taken) < ROUNDS and monotonic() < deadline:
        before()
        computed, began = _computed, perf_counter_ns()
        work()
        elapsed = perf_counter_ns() - began
        if _computed == computed:
            taken.append(elapsed / RESULTS / 1000)
    if not taken:
        raise RuntimeError(f"no round of hits within {PATIENCE:g} s")
    return min(taken)


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        rounds = _rounds(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], runner)
        print(json.dumps({name: _least(before, work) for name, before, work in rounds}))
