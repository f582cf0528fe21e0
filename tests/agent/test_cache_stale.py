"""A result past its time is served while one call computes it anew; nobody else waits."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading

import pytest
from module_under_test import application, counted, hijack

SOURCE = """
    import contextvars, threading
    runs = []
    who = contextvars.ContextVar("who", default="nobody")
    entered, gate = threading.Event(), threading.Event()
    failing = waiting = False

    def price(item):
        runs.append(item)
        if waiting:
            entered.set(); gate.wait(20)
        if failing:
            raise ValueError(item)
        return (item, len(runs))

    async def later(item):
        runs.append(item)
        seen.append((who.get(), threading.get_ident()))
        if failing:
            raise ValueError(item)
        if waiting:
            await hold.wait()
        return (item, len(runs))

    seen = []
    hold = None
"""
PATIENCE = 20


class Clock:
    now = 0

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += round(seconds * 1e9)


class App:
    def __init__(self, module, attachments, qualname):
        self.module = module
        self.attached = attachments.by_name[f"{module.__name__}:{qualname}"]
        [self.memory] = self.attached.keep.values()
        self.clock = self.memory.clock = Clock()

    def decisions(self):
        return counted(self.attached)


@pytest.fixture
def app(tmp_path):
    with application(tmp_path, SOURCE) as (module, attachments):

        def cache(function, **options):
            given = {"ttl": "10s", "stale": "20s", "ignore": [f"contextvar:{module.__name__}:who"], **options}
            name = f"{module.__name__}:{function}"
            attachments.apply([hijack(name, {"cache": given})])
            assert attachments.reports()[name].state == "attached"
            return App(module, attachments, function)

        yield cache


def test_while_one_caller_computes_anew_the_others_are_served_at_once(app):
    made = app("price")
    module = made.module
    assert module.price("tea") == ("tea", 1)
    made.clock.forward(10)
    module.waiting = True
    renewed = []
    leader = threading.Thread(target=lambda: renewed.append(module.price("tea")))
    leader.start()
    assert module.entered.wait(PATIENCE)
    assert [module.price("tea") for _ in range(5)] == [("tea", 1)] * 5
    module.gate.set()
    leader.join(PATIENCE)
    assert renewed == [("tea", 2)]
    assert module.price("tea") == ("tea", 2)
    assert module.runs == ["tea", "tea"]
    assert made.decisions() == {"miss": 1, "stale": 5, "renewed": 1, "hit": 1}


def test_a_thread_held_up_before_computing_anew_finds_what_another_has_computed_meanwhile(app, monkeypatch):
    made = app("price")
    made.module.price("tea")
    made.clock.forward(10)
    claim, held_up = made.memory.flights.claim, []

    def claim_late(key):
        if not held_up:
            held_up.append(key)
            assert made.module.price("tea") == ("tea", 2)
        return claim(key)

    monkeypatch.setattr(made.memory.flights, "claim", claim_late)
    assert made.module.price("tea") == ("tea", 2)
    assert (made.module.runs, len(made.memory.flights)) == (["tea", "tea"], 0)
    assert made.decisions() == {"miss": 1, "renewed": 1, "hit": 1}


def test_after_its_stale_time_a_result_is_gone(app):
    made = app("price")
    made.module.price("tea")
    made.clock.forward(30)
    assert made.module.price("tea") == ("tea", 2)
    assert made.decisions() == {"miss": 2}


def test_without_the_option_nothing_is_served_past_its_time(app):
    made = app("price", stale=0)
    made.module.price("tea")
    made.clock.forward(10)
    assert made.module.price("tea") == ("tea", 2)
    assert made.decisions() == {"miss": 2}


def test_when_computing_anew_fails_the_stale_result_is_served_until_its_time_is_over(app):
    made = app("price")
    made.module.price("tea")
    made.module.failing = True
    made.clock.forward(15)
    assert [made.module.price("tea") for _ in range(2)] == [("tea", 1)] * 2
    assert made.module.runs == ["tea"] * 3
    assert made.decisions() == {"miss": 1, "still stale": 2}
    made.clock.forward(15)
    with pytest.raises(ValueError, match="tea"):
        made.module.price("tea")


def test_a_coroutines_stale_result_is_computed_anew_in_the_background_in_the_callers_context(app):
    made = app("later")
    module = made.module

    async def run():
        first = await module.later("tea")
        made.clock.forward(10)
        module.who.set("ada")
        stale = [await module.later("tea") for _ in range(3)]
        renewing = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        await asyncio.wait(renewing, timeout=PATIENCE)
        return first, stale, len(renewing), await module.later("tea")

    first, stale, tasks, after = asyncio.run(run())
    assert (first, stale, tasks, after) == (("tea", 1), [("tea", 1)] * 3, 1, ("tea", 2))
    assert module.seen[1] == ("ada", threading.get_ident())
    assert made.decisions() == {"miss": 1, "stale": 3, "refreshed": 1, "hit": 1}
    assert len(made.memory.flights) == 0


def test_the_background_task_is_held_although_the_loop_would_not(app):
    made = app("later")
    module = made.module

    async def run():
        await module.later("tea")
        module.hold, module.waiting = asyncio.Event(), True
        made.clock.forward(10)
        await module.later("tea")
        await asyncio.sleep(0)
        gc.collect()
        module.hold.set()
        [task] = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        await asyncio.wait([task], timeout=PATIENCE)
        return await module.later("tea")

    assert asyncio.run(run()) == ("tea", 2)


def test_a_failing_background_task_is_nobodys_error(app):
    made = app("later")
    module, unhandled = made.module, []

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
        await module.later("tea")
        module.failing = True
        made.clock.forward(10)
        stale = await module.later("tea")
        await asyncio.wait([t for t in asyncio.all_tasks() if t is not asyncio.current_task()], timeout=PATIENCE)
        gc.collect()
        return stale, await module.later("tea")

    assert asyncio.run(run()) == (("tea", 1), ("tea", 1))
    assert unhandled == []
    decisions = made.decisions()
    assert (decisions["miss"], decisions["stale"]) == (1, 2)
    assert decisions["not refreshed"] >= 1


def test_a_loop_that_ends_takes_its_background_task_with_it_and_the_next_computes_anew(app):
    made = app("later")
    module = made.module

    async def begin():
        await module.later("tea")
        module.hold, module.waiting = asyncio.Event(), True
        made.clock.forward(10)
        return await module.later("tea")

    assert asyncio.run(begin()) == ("tea", 1)
    module.waiting = False
    assert len(made.memory.flights) == 0

    async def again():
        stale = await module.later("tea")
        await asyncio.wait([t for t in asyncio.all_tasks() if t is not asyncio.current_task()], timeout=PATIENCE)
        return stale, (await module.later("tea"))[0]

    assert asyncio.run(again()) == (("tea", 1), "tea")


def test_a_loop_closed_under_its_background_task_leaves_nothing_behind(app, capfd):
    made = app("later")
    module = made.module

    async def begin():
        await module.later("tea")
        module.hold, module.waiting = asyncio.Event(), True
        made.clock.forward(10)
        await module.later("tea")
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    assert len(made.memory.flights) == 1
    made.memory.sweep()
    gc.collect()
    assert len(made.memory.flights) == 0
    assert capfd.readouterr() == ("", "")


def test_sweeping_keeps_what_may_still_be_served(app):
    made = app("price")
    made.module.price("tea")
    made.clock.forward(29)
    assert made.memory.sweep() == 0
    made.clock.forward(1)
    assert made.memory.sweep() == 1


def test_contexts_of_other_callers_are_untouched(app):
    made = app("later")
    before = contextvars.copy_context()

    async def run():
        await made.module.later("tea")
        made.clock.forward(10)
        await made.module.later("tea")

    asyncio.run(run())
    assert dict(contextvars.copy_context()) == dict(before)
