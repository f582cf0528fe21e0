"""Hijacks that come and go under load tear nothing, and the end leaves nothing (H18)."""

from __future__ import annotations

import gc
import importlib
import sys
import threading

from mystic_agent import lifecycle

SOURCE = """
    import threading

    def plain(n):
        return n * 2

    class Thing:
        def method(self, n, *, key=1):
            return n * 3 + key

    def outer(n):
        def inner(m):
            return n + m
        return inner

    def counting(n):
        yield from range(n)

    async def later(n):
        return n

    made = outer(1)
"""
THREADS, CHANGES = 64, 1000


def _work(app, over, wrong, done):
    thing, n = app.module.Thing(), 0
    plain, made, counting, later = app.module.plain, app.module.made, app.module.counting, app.module.later
    while n < 40 or not over.is_set():
        n += 1
        if n % 2 == 0:
            over.wait(0.05)  # leave the one who makes the changes a turn
        results = (plain(n % 50), thing.method(n % 50, key=2), made(n), list(counting(3)), _finish(later(n)))
        if results != (n % 50 * 2, n % 50 * 3 + 2, n + 1, [0, 1, 2], n):
            wrong.append(results)
    done.append(n)


def _finish(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    return None


def test_64_threads_get_right_results_and_exact_counts_while_a_thousand_changes_arrive(early):
    app = early(SOURCE, sample_rate=float("inf"))
    over, wrong, done = threading.Event(), [], []
    threads = [threading.Thread(target=_work, args=(app, over, wrong, done)) for _ in range(THREADS)]
    try:
        for thread in threads:
            thread.start()
        for n in range(CHANGES):
            strategies = [{"log": {"level": "debug"}}] if n % 3 else [{"cache": {"ttl": n + 1}}]
            app.apply(
                {"id": f"h{n}", "target": "application:plain" if n % 10 else "application:*", "stages": strategies}
            )
    finally:
        over.set()
        for thread in threads:
            thread.join()
    app.apply()
    assert (wrong[:3], len(done)) == ([], THREADS)
    total = sum(done)
    names = ["plain", "Thing.method", "outer.<locals>.inner", "counting", "later"]
    assert {name: app.calls(name) for name in names} == dict.fromkeys(names, total)


def _left_behind():
    tools = [sys.monitoring.get_tool(i) for i in range(6)] if sys.version_info >= (3, 12) else []
    return {
        "meta_path": [id(finder) for finder in sys.meta_path],
        "threads": {thread.name for thread in threading.enumerate()},
        "trace": (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()),
        "tools": tools,
        "limit": (sys.getrecursionlimit(), sys.getrecursionlimit, sys.setrecursionlimit),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook),
    }


def test_the_end_leaves_nothing_behind(write, agent):
    write("application", SOURCE)
    write("afterwards", "def f():\n    return 1\n")
    module = importlib.import_module("application")
    functions = [module.plain, module.Thing.method, module.outer, module.made, module.counting, module.later]
    codes = [function.__code__ for function in functions]
    constants = module.outer.__code__.co_consts
    before = _left_behind()
    for _ in range(3):
        agent("application:*", "afterwards:*", sample_rate=float("inf"))
        assert module.plain(1) == 2
        assert _left_behind() != before
        lifecycle.stop()
        assert _left_behind() == before
        assert all(function.__code__ is code for function, code in zip(functions, codes, strict=True))
        assert module.outer.__code__.co_consts is constants
    f = importlib.import_module("afterwards").f
    assert not f.__code__.co_filename.startswith("<mystic")
    assert type(importlib.import_module("afterwards").__loader__).__module__ != "mystic_agent.imports"


def test_the_end_keeps_no_function_alive(write, agent):
    write("application", SOURCE)
    module = importlib.import_module("application")
    gc.collect()
    before = len(gc.get_referrers(module.plain))
    agent("application:*")
    module.plain(1)
    lifecycle.stop()
    gc.collect()
    assert len(gc.get_referrers(module.plain)) == before
