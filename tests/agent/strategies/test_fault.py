"""A share of calls is slow or fails; the others are as they were."""

from __future__ import annotations

import asyncio

import pytest


def test_only_the_share_asked_for_is_disturbed(app, staged, steps):
    chance = steps(0.0, 0.24, 0.25, 0.9)
    stage = staged("plain", "fault", {"share": "25%", "exception": "OSError"}, following=lambda a: a, random=chance)
    outcomes = []
    for _ in range(4):
        try:
            outcomes.append(stage(1))
        except OSError:
            outcomes.append("failed")
    assert outcomes == ["failed", "failed", 1, 1]
    assert app.decisions("plain") == {"failed": 2, "passed": 2}


def test_latency_comes_before_the_call_and_before_the_exception(app, staged, steps):
    time = steps()
    stage = staged("plain", "fault", {"latency": "2s"}, following=lambda a: (a, list(time.slept)), sleep=time.sleep)
    assert stage(1) == (1, [2.0])
    failing = staged("plain", "fault", {"latency": "3s", "exception": "OSError"}, sleep=time.sleep)
    with pytest.raises(OSError, match="plain fails as asked for"):
        failing(1)
    assert time.slept == [2.0, 3.0]
    assert app.runs == []
    assert app.decisions("plain") == {"delayed": 1, "failed": 1}


def test_a_coroutine_waits_without_blocking_its_loop(app, staged, steps):
    time = steps()
    stage = staged("coroutine", "fault", {"latency": "2s"}, wait=time.wait)
    assert asyncio.run(stage(1, 2, 3, (), {})) == (1, 2, (), 3, {})
    assert time.slept == [2.0]


def test_a_coroutine_that_another_library_drives_is_not_delayed(app):
    app.apply("coroutine", {"fault": {"latency": "5m"}})
    with pytest.raises(StopIteration) as ended:
        app.module.coroutine(1).send(None)
    assert ended.value.value == (1, 2, (), 3, {})


def test_a_generator_is_delayed_at_its_first_step(app, staged, steps):
    time = steps()
    stage = staged("generator", "fault", {"latency": "2s"}, sleep=time.sleep)
    assert list(stage(2)) == [0, 1]
    assert time.slept == [2.0]


def test_an_async_generator_cannot_be_delayed(app):
    report = app.apply("async_generator", {"fault": {"latency": "1s"}})
    assert (report.state, "fault.exception" in report.reason) == ("failed", True)
