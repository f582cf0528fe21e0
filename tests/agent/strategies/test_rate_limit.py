"""No more calls than the rate allows, exactly; coroutines may take their turn."""

from __future__ import annotations

import asyncio
import threading

import pytest
from mystic_agent.strategies.bucket import Bucket

SECOND = 10**9


def test_a_burst_passes_and_then_the_rate(app, staged, steps):
    clock = steps()
    stage = staged("plain", "rate_limit", {"rate": 2, "burst": 3}, following=lambda: "ok", clock=clock)

    def outcome():
        try:
            return stage()
        except RuntimeError as error:
            return str(error).partition(":")[2]

    limited = "plain is limited to 2 calls in 1 s"
    assert [outcome() for _ in range(4)] == ["ok", "ok", "ok", limited]
    clock.now += SECOND // 2
    assert [outcome() for _ in range(2)] == ["ok", limited]
    clock.now += 60 * SECOND
    assert [outcome() for _ in range(4)] == ["ok", "ok", "ok", limited]
    assert app.decisions("plain") == {"allowed": 7, "limited": 3}


def test_a_coroutine_waits_for_its_turn_and_not_longer_than_allowed(app, staged, steps):
    time = steps()
    options = {"rate": 1, "wait": "2s", "exception": "ConnectionError", "message": "later"}

    async def ok():
        return "ok"

    stage = staged("coroutine", "rate_limit", options, following=ok, clock=time, wait=lambda s: waits(s))
    asked = []

    async def waits(seconds):
        asked.append(seconds)
        return True

    async def main():
        return await asyncio.gather(*(stage() for _ in range(4)), return_exceptions=True)

    *passed, last = asyncio.run(main())
    assert (passed, asked) == (["ok"] * 3, [1.0, 2.0])
    assert (type(last), str(last)) == (ConnectionError, "later")
    assert app.decisions("coroutine") == {"allowed": 1, "waited": 2, "limited": 1}


def test_a_turn_that_is_cancelled_is_given_back(app, staged, steps):
    async def ok():
        return "ok"

    async def never(seconds):
        await asyncio.get_running_loop().create_future()

    stage = staged("coroutine", "rate_limit", {"rate": 1, "wait": "1s"}, following=ok, clock=steps(), wait=never)

    async def main():
        assert await stage() == "ok"
        for _ in range(3):
            waiting = asyncio.create_task(stage())
            await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())
    assert app.decisions("coroutine") == {"allowed": 1, "waited": 3}


def test_threads_together_get_exactly_the_burst():
    bucket, start, taken = Bucket(1, 3600, 100, lambda: 5), threading.Barrier(8), []

    def work():
        start.wait(20)
        taken.extend(bucket.take(0) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (taken.count(0), taken.count(None)) == (100, 300)


@pytest.mark.parametrize("form", ["plain", "generator", "async_generator"])
def test_only_coroutines_wait(app, form):
    report = app.apply(form, {"rate_limit": {"wait": "1s"}})
    assert (report.state, "can only raise" in report.reason) == ("failed", True)


def test_generators_are_limited_when_they_are_iterated_over(app):
    app.apply("generator", {"rate_limit": {"rate": 1, "per": "1h"}})
    assert list(app.module.generator(2)) == [0, 1]
    with pytest.raises(RuntimeError, match="limited to 1 calls in 3600 s"):
        list(app.module.generator(2))
    app.apply("async_generator", {"rate_limit": {"rate": 1, "per": "1h"}})

    async def items():
        return [one async for one in app.module.async_generator(2)]

    assert asyncio.run(items()) == [0, 1]
    with pytest.raises(RuntimeError, match="limited"):
        asyncio.run(items())


def test_where_there_is_no_asyncio_a_coroutine_does_not_wait(app):
    app.apply("coroutine", {"rate_limit": {"rate": 1, "per": "1h", "wait": "5m"}})
    outcomes = []
    for _ in range(2):
        try:
            app.module.coroutine(1).send(None)
        except (StopIteration, RuntimeError) as error:
            outcomes.append(type(error))
    assert outcomes == [StopIteration, RuntimeError]
