"""A new implementation is tried beside the old one, and no caller notices before it is found as good."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest
from module_under_test import hijack
from mystic_agent.strategies import background as module
from mystic_agent.strategies import beside
from mystic_agent.strategies.background import Background, background

SOURCE = """
    import contextvars, threading

    user = contextvars.ContextVar("user", default="nobody")
    calls, runs = [], []
    hold, entered = threading.Event(), threading.Event()

    def old(items, key=1):
        runs.append(key)
        items.append("old")
        return [key, items[:-1]]

    def new(items, key=1):
        calls.append((threading.current_thread().name, list(items), user.get()))
        return [key, items]

    def differing(items, key=1):
        return [key, "password=hunter2"]

    def failing(items, key=1):
        raise LookupError(key)

    def ending(items, key=1):
        raise SystemExit

    def building(items, key=1):
        return old(items, key)

    def slow(items, key=1):
        entered.set()
        assert hold.wait(20)
        return [key, items]

    def returning(value):
        return value

    def returning_too(value):
        return value

    async def later(key):
        runs.append(key)
        return {"key": key}

    async def later_too(key):
        calls.append(key)
        entered.set()
        while not hold.is_set():
            import asyncio
            await asyncio.sleep(0)
        return {"key": key}

    async def later_ending(key):
        raise SystemExit

    class Thing:
        def __init__(self):
            self.lock = threading.Lock()

        def method(self, a):
            return a

        def method_too(self, a):
            assert self.lock
            return a
"""
LENIENT = {"slower": 1000, "least": "5m"}  # nothing is slower, however busy the machine


@pytest.fixture
def shop(app_of):
    loaded = app_of(SOURCE)
    yield loaded
    loaded.module.hold.set()
    settle()


def settle():
    """Wait until all that waits in the background is done."""
    done = threading.Event()
    while not background.put(done.set):
        time.sleep(0)
    assert done.wait(20)


def put(shop, to, qualname="old", **options):
    report = shop.apply(qualname, {"shadow": {"to": shop.name(to), "window": 0, **LENIENT, **options}})
    assert (report.state, report.reason) == ("attached", "")


def note(shop, qualname="old"):
    return " ".join(shop.attachments.reports()[shop.name(qualname)].notes)


def told(shop):
    return [event for event in shop.attachments.events.collect() if event.name == "mystic.shadow"]


def test_the_old_one_answers_and_the_new_one_is_called_beside_it_with_the_same_arguments(shop):
    put(shop, "new")
    token = shop.module.user.set("ada")
    given = ["pen"]
    try:
        result = shop.call("old", given, key=5)
    finally:
        shop.module.user.reset(token)
    assert result == [5, ["pen"]]
    result.append("changed by the caller")
    settle()
    assert given == ["pen", "old"]
    assert shop.module.calls == [("mystic-background", ["pen"], "ada")]
    assert shop.decisions("old") == {"old": 1, "same": 1}
    assert "shadow: beside the old one; 1 calls, 0 failed" in note(shop)


def test_as_good_as_the_old_one_it_gets_some_callers_and_then_all(shop):
    put(shop, "new", minimum=20, share=0.5, key="key")
    for _ in range(20):
        shop.call("old", [])
        settle()
    assert note(shop).startswith("shadow: canary, 50% of calls")
    shop.module.calls.clear()
    sides = {}
    for n in range(200):
        before = len(shop.module.runs)
        shop.call("old", [], n % 10)
        sides.setdefault(n % 10, set()).add(len(shop.module.runs) - before)
        if note(shop).startswith("shadow: full"):
            break
    settle()
    assert {frozenset(side) for side in sides.values()} == {frozenset({0}), frozenset({1})}  # each caller keeps its own
    shop.module.runs.clear()
    for n in range(10):
        assert shop.call("old", ["x"], n) == [n, ["x"]]
    assert shop.module.runs == []
    assert shop.decisions("old")["full"] == 10
    assert [dict(event.attributes)["mystic.shadow.after"] for event in told(shop)] == ["canary", "full"]


def test_one_that_differs_is_taken_back_and_the_difference_told_without_secrets(shop):
    put(shop, "differing")
    for _ in range(5):
        assert shop.call("old", ["pen"]) == [1, ["pen"]]
        settle()
    assert shop.decisions("old") == {"old": 1, "differs": 1, "rolled_back": 4}
    [event] = told(shop)
    attributes = dict(event.attributes)
    assert (event.body, attributes["mystic.shadow.after"]) == ("1 of 1 results differ", "rolled_back")
    assert attributes["mystic.shadow.example"].startswith("1: ['pen'] became")
    assert "hunter2" not in str(event) + note(shop)
    assert "rolled back: 1 of 1 results differ; e.g. 1: ['pen'] became" in note(shop)


@pytest.mark.parametrize("to", ["failing", "ending"])
def test_one_that_fails_more_is_taken_back_and_no_caller_sees_its_failure(shop, to):
    put(shop, to)
    for n in range(60):
        assert shop.call("old", [], n) == [n, []]
        settle()
    decisions = shop.decisions("old")
    assert 0 < decisions["failed"] < 30
    assert decisions["failed"] + decisions["rolled_back"] == 60
    assert "rolled back: it fails in" in note(shop)
    assert len(shop.module.runs) == 60


def test_one_that_fails_as_a_canary_is_taken_back(shop):
    put(shop, "failing", begin="canary", share=0.5, sample=0)
    failures = 0
    for _ in range(100):
        try:
            shop.call("old", [])
        except LookupError:
            failures += 1
    decisions = shop.decisions("old")
    assert decisions["canary"] == failures < 60
    assert sum(decisions.values()) == 100
    assert decisions["rolled_back"] > 0


def test_a_new_one_that_builds_on_the_old_one_reaches_the_original(shop):
    put(shop, "building")
    assert shop.call("old", []) == [1, []]
    settle()
    assert len(shop.module.runs) == 2
    assert shop.decisions("old") == {"old": 1, "same": 1, "passed called by the other implementation": 1}


def test_what_does_not_fit_is_dropped_and_counted(shop):
    put(shop, "slow")
    shop.call("old", [])
    assert shop.module.entered.wait(20)
    for _ in range(module.MOST + 10):
        assert shop.call("old", []) == [1, []]
    decisions = shop.decisions("old")
    assert (decisions["old"], decisions["dropped"]) == (module.MOST + 11, 10)
    shop.module.hold.set()
    settle()
    assert shop.decisions("old")["same"] == module.MOST + 1


class Uncopyable:
    def __deepcopy__(self, memo):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise AssertionError("it ran")

    __hash__ = None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Uncopyable(), "arguments cannot be copied"),
        (threading.Lock(), "arguments cannot be copied"),
        (iter([1]), "result of type builtins.list_iterator"),
        (bytearray(beside.MOST_BYTES + 1), "arguments of more than 1 MiB"),
    ],
)
def test_what_cannot_be_copied_or_compared_is_left_to_the_old_one_with_the_reason(shop, value, reason):
    put(shop, "returning_too", "returning")
    assert shop.call("returning", value) is value
    settle()
    assert shop.decisions("returning") == {"old": 1, f"bypassed {reason}": 1}


def test_parameters_may_be_shared_by_both(shop):
    put(shop, "Thing.method_too", "Thing.method")
    shop.call("Thing.method", 5)
    settle()
    assert shop.decisions("Thing.method") == {"old": 1, "bypassed arguments cannot be copied": 1}
    put(shop, "Thing.method_too", "Thing.method", uncopied=["self"])
    shop.call("Thing.method", 5)
    settle()
    assert shop.decisions("Thing.method")["same"] == 1


def test_a_coroutine_function_is_tried_in_tasks_of_the_same_loop(shop):
    put(shop, "later_too", "later")

    async def work():
        results = [await shop.bound("later")(n) for n in range(beside.MOST_TASKS + 4)]
        while not shop.module.entered.is_set():
            await asyncio.sleep(0)
        shop.module.hold.set()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)
        return results

    assert asyncio.run(work()) == [{"key": n} for n in range(beside.MOST_TASKS + 4)]
    assert shop.decisions("later") == {"old": beside.MOST_TASKS + 4, "same": beside.MOST_TASKS, "dropped": 4}


def test_a_coroutine_that_ends_the_program_beside_the_old_one_does_not(shop):
    put(shop, "later_ending", "later")

    async def work():
        assert await shop.bound("later")(1) == {"key": 1}
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)

    asyncio.run(work())
    assert shop.decisions("later") == {"old": 1, "failed": 1}


def test_a_loop_that_is_closed_too_early_leaves_no_word(shop, capfd):
    put(shop, "later_too", "later")
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(shop.bound("later")(1)) == {"key": 1}
    loop.close()
    shop.attachments.by_name[shop.name("later")].keep.clear()
    shop.release()
    import gc

    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_without_an_asyncio_loop_a_coroutine_is_left_to_the_old_one(shop):
    put(shop, "later_too", "later")
    with pytest.raises(StopIteration) as stop:
        shop.bound("later")(1).send(None)
    assert stop.value.value == {"key": 1}
    assert shop.decisions("later") == {"old": 1, "bypassed no asyncio event loop": 1}


def test_what_it_has_come_to_outlives_a_strategy_beside_it_and_ends_with_its_hijack(shop):
    put(shop, "differing")
    shop.call("old", [])
    settle()
    spec = {"shadow": {"to": shop.name("differing"), "window": 0, **LENIENT}}
    shop.apply("old", {"rate_limit": {"rate": 1e6}}, spec)
    shop.call("old", [])
    assert shop.decisions("old", "shadow") == {"old": 1, "differs": 1, "rolled_back": 1}
    shop.release()
    shop.attachments.apply([hijack(shop.name("old"), spec, identity="another")])
    shop.call("old", [])
    assert shop.decisions("old", "shadow")["old"] == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"uncopied": "itself"}, "the parameters are items, key"),
        ({"key": "user.id"}, "key"),
        ({"to": "os:getcwd"}, "MYSTIC_ALLOW"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_reason(shop, options, reason):
    report = shop.apply("old", {"shadow": {"to": shop.name("new"), **options}})
    assert (report.state, reason in report.reason) == ("failed", True)


def test_a_forked_child_begins_its_stage_anew(shop):
    put(shop, "slow", minimum=5)
    shop.call("old", [])
    assert shop.module.entered.wait(20)
    shop.module.hold.set()
    settle()
    [state] = shop.attachments.by_name[shop.name("old")].keep.values()
    assert "1 calls" in state.trial.told()
    state.reset()
    assert ("0 calls" in state.trial.told(), background.alive) == (True, 0)


def test_the_thread_ends_when_there_is_nothing_to_do_and_comes_back(monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    own, threads = Background(), []
    for _ in range(3):
        done = threading.Event()
        assert own.put(lambda done=done: (threads.append(threading.current_thread()), done.set()))
        assert done.wait(20)
        threads[-1].join(20)
        assert (threads[-1].is_alive(), own.alive) == (False, 0)


def test_work_that_ends_the_thread_does_not_end_the_work_after_it(monkeypatch):
    own, done = Background(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: None)

    def end():
        raise SystemExit

    own.put(end)
    while own.alive:
        time.sleep(0)
    assert own.put(done.set)
    assert done.wait(20)


def test_threads_see_every_stage_and_every_call_is_counted_once(shop):
    put(shop, "returning_too", "returning", minimum=100, share=0.5)
    start, wrong = threading.Barrier(8), []

    def work(number):
        start.wait(20)
        for n in range(400):
            if shop.module.returning([number, n]) != [number, n]:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    settle()
    for n in range(2000):  # whatever was dropped, there are enough calls now
        shop.module.returning(n)
        settle()
        if note(shop, "returning").startswith("shadow: full"):
            break
    shop.module.returning("last")
    decisions = shop.decisions("returning")
    assert (wrong, decisions["full"] > 0, decisions["canary"] > 0) == ([], True, True)
    assert sum(decisions[name] for name in ("old", "canary", "full")) == 3200 + n + 2
    assert decisions["same"] + decisions.get("dropped", 0) == decisions["old"]
    assert [dict(event.attributes)["mystic.shadow.after"] for event in told(shop)] == ["canary", "full"]


def test_a_loop_that_begins_tasks_at_once_lets_the_caller_go_first(shop):
    if not hasattr(asyncio, "eager_task_factory"):
        pytest.skip("this Python has no eager tasks")
    put(shop, "later_too", "later")
    shop.module.hold.set()

    async def work():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        result = await shop.bound("later")(1)
        first = list(shop.module.calls)
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)
        return result, first

    assert asyncio.run(work()) == ({"key": 1}, [])
    assert shop.decisions("later") == {"old": 1, "same": 1}


def test_the_context_of_a_call_is_its_own(shop):
    put(shop, "new")
    for name in ("ada", "bob"):
        context = contextvars.copy_context()
        context.run(shop.module.user.set, name)
        context.run(shop.call, "old", [])
    settle()
    seen = [user for _, _, user in shop.module.calls]
    assert seen == ["ada", "bob"]
