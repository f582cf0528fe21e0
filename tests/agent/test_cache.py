"""A cache never gives a wrong value, computes once, and lets through what it cannot key."""

from __future__ import annotations

import asyncio
import pickle
import threading

import pytest
from module_under_test import application, hijack
from mystic_agent.cache.memory import Entry, Memory

SOURCE = """
    import asyncio, dataclasses, threading
    runs = []
    gate = threading.Event()

    def add(a, b=2, *, c=3):
        runs.append((a, b, c)); return a + b + c
    def listed(a):
        runs.append(a); return [a, {"n": a}]
    def nothing():
        runs.append(None)
    def star(*args, **kwargs):
        runs.append((args, kwargs)); return (args, tuple(sorted(kwargs.items())))
    def failing(a):
        runs.append(a); raise ValueError(a)
    def waiting(a):
        runs.append(a); gate.wait(20); return a
    async def slowly(a):
        runs.append(a); await asyncio.sleep(0.01); return a
    def recursive(n):
        runs.append(n); return 1 if n < 2 else recursive(n - 1) + recursive(n - 2)
    def numbers():
        yield 1
    class Plain:
        def __init__(self, n): self.n = n
        def method(self, x): runs.append(x); return self.n * x
    @dataclasses.dataclass
    class Data:
        n: int
        def method(self, x): runs.append(x); return self.n * x
"""


@pytest.fixture
def app(tmp_path):
    with application(tmp_path, SOURCE) as (module, attachments):

        def cache(function, **options):
            attachments.apply([hijack(f"{module.__name__}:{function}", {"cache": {"ttl": "1h", **options}})])
            return attachments.reports()[f"{module.__name__}:{function}"]

        yield module, attachments, cache


def decisions(attachments, function):
    [attached] = [a for a in attachments.by_name.values() if a.qualname == function]
    return {
        (dict(c.attributes)["mystic.decision"], dict(c.attributes).get("mystic.reason", "")): c.value
        for c in attached.meter.counts()
        if c.metric == "mystic.function.decisions"
    }


def test_the_same_call_is_computed_once_however_it_is_written(app):
    module, attachments, cache = app
    assert cache("add").state == "attached"
    assert [module.add(1), module.add(1, 2), module.add(a=1, c=3), module.add(1, b=2)] == [6] * 4
    assert module.runs == [(1, 2, 3)]
    assert decisions(attachments, "add") == {("miss", ""): 1, ("hit", ""): 3}
    [attached] = [a for a in attachments.by_name.values() if a.qualname == "add"]
    assert attached.meter.calls == 4


def test_one_and_true_and_one_point_zero_are_three_calls(app):
    module, _, cache = app
    cache("add")
    results = [module.add(1), module.add(True), module.add(1.0)] * 2
    assert [type(r) for r in results] == [int, int, float] * 2
    assert len(module.runs) == 3


def test_what_a_caller_does_to_its_result_stays_with_that_caller(app):
    module, _, cache = app
    cache("listed")
    first = module.listed(1)
    first[1]["n"] = "changed"
    second = module.listed(1)
    second.append("more")
    assert module.listed(1) == [1, {"n": 1}]
    assert module.runs == [1]


def test_copy_never_hands_out_the_same_object(app):
    module, _, cache = app
    cache("listed", copy="never")
    assert module.listed(1) is module.listed(1)


def test_none_is_a_value(app):
    module, _, cache = app
    cache("nothing")
    assert [module.nothing(), module.nothing()] == [None, None]
    assert module.runs == [None]


def test_star_arguments_are_part_of_the_key(app):
    module, _, cache = app
    cache("star")
    calls = [module.star(1, 2), module.star(1, 2), module.star(1, x=2), module.star(1, x=2), module.star((1, 2))]
    assert calls[0] == calls[1] != calls[4]
    assert len(module.runs) == 3


def test_exceptions_are_computed_again_unless_asked_for(app):
    module, _, cache = app
    cache("failing")
    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            module.failing(1)
    assert module.runs == [1, 1]
    cache("failing", exceptions=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="2"):
            module.failing(2)
    assert module.runs == [1, 1, 2]


def test_a_method_needs_an_identity_and_a_dataclass_has_one(app):
    module, attachments, cache = app
    cache("Plain.method")
    plain = module.Plain(2)
    assert [plain.method(3), plain.method(3)] == [6, 6]
    assert module.runs == [3, 3]
    [(key, count)] = decisions(attachments, "Plain.method").items()
    assert (key[0], count) == ("bypass", 2)
    assert "Plain" in key[1]
    cache("Data.method")
    assert [module.Data(2).method(5), module.Data(2).method(5), module.Data(3).method(5)] == [10, 10, 15]
    assert module.runs == [3, 3, 5, 5]


def test_a_declared_identity_stands_for_self(app):
    module, _, cache = app
    cache("Plain.method", identity=["n"])
    assert [module.Plain(2).method(3), module.Plain(2).method(3), module.Plain(4).method(3)] == [6, 6, 12]
    assert module.runs == [3, 3]


def test_a_thousand_concurrent_misses_compute_once_in_threads(app):
    module, _, cache = app
    cache("waiting")
    barrier, results = threading.Barrier(101), []

    def ask():
        barrier.wait()
        results.extend(module.waiting(7) for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    barrier.wait()
    module.gate.set()
    for thread in threads:
        thread.join(30)
    assert results == [7] * 1000
    assert module.runs == [7]


def test_a_thread_held_up_between_looking_and_computing_finds_what_another_has_computed_meanwhile(app, monkeypatch):
    module, attachments, cache = app
    cache("add")
    [memory] = attachments.by_name[f"{module.__name__}:add"].keep.values()
    board, held_up = memory.flights.board, []

    def board_late(key):
        if not held_up:
            held_up.append(key)
            assert module.add(1) == 6
        return board(key)

    monkeypatch.setattr(memory.flights, "board", board_late)
    runs = len(module.runs)
    assert module.add(1) == 6
    assert (len(module.runs) - runs, len(memory.flights)) == (1, 0)
    assert decisions(attachments, "add") == {("miss", ""): 1, ("joined", ""): 1}


def test_a_thousand_concurrent_misses_compute_once_in_tasks(app):
    module, _, cache = app
    cache("slowly")

    async def ask():
        return await asyncio.gather(*(module.slowly(7) for _ in range(1000)))

    assert asyncio.run(ask()) == [7] * 1000
    assert module.runs == [7]


def test_a_cancelled_leader_does_not_take_the_others_with_it(app):
    module, _, cache = app
    cache("slowly")

    async def ask():
        leader = asyncio.create_task(module.slowly(1))
        await asyncio.sleep(0)
        follower = asyncio.create_task(module.slowly(1))
        await asyncio.sleep(0)
        leader.cancel()
        return await follower

    assert asyncio.run(ask()) == 1


def test_a_cached_function_may_call_itself(app):
    module, _, cache = app
    cache("recursive")
    assert module.recursive(30) == 1346269
    assert len(module.runs) == 31


def test_a_generator_is_refused_with_the_reason_and_observed_all_the_same(app):
    module, attachments, cache = app
    report = cache("numbers")
    assert report.state == "failed"
    assert "generator" in report.reason
    assert list(module.numbers()) == [1]
    [attached] = [a for a in attachments.by_name.values() if a.qualname == "numbers"]
    assert attached.meter.calls == 1


def test_an_unknown_ignored_argument_is_refused_with_the_names_there_are(app):
    _, _, cache = app
    report = cache("add", ignore=["z"])
    assert report.state == "failed"
    assert "a, b, c" in report.reason


def test_release_forgets_nothing_of_the_function_and_everything_of_the_cache(app):
    module, attachments, cache = app
    cache("add")
    module.add(1)
    attachments.apply([])
    module.add(1)
    assert len(module.runs) == 2


def test_the_function_can_be_pickled_by_reference_while_cached(app):
    module, _, cache = app
    cache("add")
    assert pickle.loads(pickle.dumps(module.add)) is module.add


class Clock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def entry(expires, size=10, value="v"):
    return Entry(expires, value, False, True, size, (str, value))


def test_an_entry_is_served_until_its_time_and_then_removed_from_both_views():
    clock = Clock()
    memory = Memory(1000, 10, clock)
    memory.put("k", entry(100))
    clock.now = 99
    assert memory.find("k").value == "v"
    clock.now = 100
    assert memory.find("k") is None
    assert memory.kinds == {str: {}}
    assert memory.bytes == 0


def test_bytes_and_entries_are_bounded_and_the_oldest_go_first():
    memory = Memory(100, 3, Clock())
    for i in range(5):
        memory.put(i, entry(10**9, value=str(i)))
    assert list(memory.entries) == [2, 3, 4]
    memory.put("large", entry(10**9, size=90, value="L"))
    assert list(memory.entries) == [4, "large"]
    assert not memory.put("too large", entry(10**9, size=101))
    assert memory.bytes == 100
    assert memory.evicted == 4


def test_sweeping_removes_only_what_has_expired():
    clock = Clock()
    memory = Memory(1000, 10, clock)
    memory.put("a", entry(5, value="a"))
    memory.put("b", entry(50, value="b"))
    clock.now = 10
    assert memory.sweep() == 1
    assert list(memory.entries) == ["b"]
