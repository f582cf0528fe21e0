"""Callers of a cache that wait for one another, in threads and in tasks, and those that must not."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from module_under_test import application
from test_cache_calls import App

PATIENCE = 20
SOURCE = """
    import asyncio, threading
    runs = []
    gate = threading.Event()
    entered = threading.Semaphore(0)

    async def echo_later(value):
        runs.append(1); return value
    def waiting(a):
        runs.append(a); entered.release(); gate.wait(20)
        if a == "fail": raise ValueError(a)
        return a
    hold = None
    async def waiting_later(a):
        runs.append(a); await hold.wait()
        if a == "fail": raise ValueError(a)
        return a
    loop = None
    async def on_loop(a):
        return a
    def needs_loop(a):
        runs.append(a)
        if len(runs) > 1:
            return a
        return asyncio.run_coroutine_threadsafe(on_loop(a), loop).result(20)
    async def itself(a):
        runs.append(a)
        return await itself(a) if len(runs) < 3 else a
"""


@pytest.fixture
def app(tmp_path):
    with application(tmp_path, SOURCE) as (module, attachments):
        yield App(module, attachments)


@pytest.mark.parametrize("argument", ["ok", "fail"])
def test_threads_that_wait_for_a_call_get_its_result_or_call_themselves(app, argument):
    app.cache("waiting")
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(app.module.waiting, argument) for _ in range(8)]
        assert app.module.entered.acquire(timeout=PATIENCE)
        app.module.gate.set()
        if argument == "fail":
            assert all(type(future.exception(PATIENCE)) is ValueError for future in futures)
            assert len(app.module.runs) == 8
        else:
            assert [future.result(PATIENCE) for future in futures] == ["ok"] * 8
            assert len(app.module.runs) == 1
    decisions = app.decisions("waiting")
    assert sum(decisions.values()) == 8
    assert set(decisions) <= {"miss", "joined", "hit"}


def test_when_the_leading_task_is_cancelled_one_other_takes_its_place(app):
    app.cache("waiting_later")

    async def ask():
        app.module.hold = asyncio.Event()
        leader = asyncio.create_task(app.module.waiting_later("a"))
        await asyncio.sleep(0)
        others = [asyncio.create_task(app.module.waiting_later("a")) for _ in range(100)]
        await asyncio.sleep(0)
        leader.cancel()
        app.module.hold.set()
        return await asyncio.gather(leader, *others, return_exceptions=True)

    cancelled, *results = asyncio.run(ask())
    assert type(cancelled) is asyncio.CancelledError
    assert results == ["a"] * 100
    assert len(app.module.runs) == 2
    assert app.decisions("waiting_later") == {"miss": 2, "joined": 99}


def test_a_thread_that_runs_a_loop_does_not_wait_for_one_that_may_need_the_loop(app):
    app.cache("needs_loop")

    async def ask():
        app.module.loop = asyncio.get_running_loop()
        leader = asyncio.create_task(asyncio.to_thread(app.module.needs_loop, "a"))
        while not app.module.runs:
            await asyncio.sleep(0)
        here = app.module.needs_loop("a")
        return here, await asyncio.wait_for(leader, PATIENCE)

    assert asyncio.run(ask()) == ("a", "a")
    assert app.decisions("needs_loop") == {"miss": 2}


def test_a_cancelled_waiter_takes_nobody_with_it(app):
    app.cache("waiting_later")

    async def ask():
        app.module.hold = asyncio.Event()
        tasks = [asyncio.create_task(app.module.waiting_later("a")) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.sleep(0)
        app.module.hold.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(ask())
    assert [type(one) for one in results] == [str, str, str, asyncio.CancelledError, str]
    assert len(app.module.runs) == 1


def test_a_coroutine_that_awaits_itself_does_not_wait_for_itself(app):
    app.cache("itself")

    async def ask():
        return await asyncio.wait_for(app.module.itself(1), PATIENCE)

    assert asyncio.run(ask()) == 1
    assert app.module.runs == [1, 1, 1]


def test_loops_of_several_threads_use_one_cache(app):
    app.cache("echo_later")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: asyncio.run(app.module.echo_later("a")), range(40)))
    assert results == ["a"] * 40
    assert 1 <= len(app.module.runs) <= 4
    assert sum(app.decisions("echo_later").values()) == 40


def test_a_coroutine_that_no_asyncio_loop_drives_is_let_through(app):
    app.cache("echo_later")
    for _ in range(2):
        with pytest.raises(StopIteration) as ended:
            app.module.echo_later("a").send(None)
        assert ended.value.value == "a"
    assert app.decisions("echo_later") == {"bypass no asyncio event loop": 2}
