"""A failing call is made again, within bounds, and its last failure is the caller's."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from mystic_agent.strategies.retry import Budget


class Flaky:
    """Fails as told, then returns its argument."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.calls = 0

    def __call__(self, value):
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return value


def awaited(work):
    async def called(*values):
        return work(*values)

    return called


def test_it_is_called_again_until_it_succeeds(app, staged, steps):
    time, work = steps(), Flaky(OSError(), OSError())
    stage = staged("plain", "retry", {}, following=work, random=lambda: 1.0, sleep=time.sleep)
    assert stage("x") == "x"
    assert work.calls == 3
    assert app.decisions("plain") == {"retried": 2, "recovered": 1}


def test_waits_double_up_to_the_longest_and_are_drawn_evenly(app, staged, steps):
    time, chance = steps(), steps(1.0, 0.5, 1.0, 1.0, 0.0)
    work = Flaky(*[OSError() for _ in range(5)])
    options = {"attempts": 6, "base": "1s", "longest": "3s"}
    assert staged("plain", "retry", options, following=work, random=chance, sleep=time.sleep)(1) == 1
    assert time.slept == [1.0, 1.0, 3.0, 3.0, 0.0]


def test_a_coroutine_waits_in_its_loop(app, staged, steps):
    time, work = steps(), Flaky(OSError())
    stage = staged("coroutine", "retry", {}, following=awaited(work), random=lambda: 1.0, wait=time.wait)
    assert asyncio.run(stage("x")) == "x"
    assert time.slept == [0.1]


def test_the_last_failure_is_raised_as_the_same_object_and_hangs_on_no_other(app, staged, steps):
    failures = [OSError(str(n)) for n in range(3)]
    stage = staged("plain", "retry", {}, following=Flaky(*failures), sleep=steps().sleep)
    with pytest.raises(OSError, match="2") as caught:
        stage(1)
    assert caught.value is failures[2]
    assert caught.value.__context__ is None
    assert app.decisions("plain") == {"retried": 2, "exhausted": 1}


@pytest.mark.parametrize(
    ("error", "options", "calls"),
    [
        (KeyError(), {"exceptions": ["OSError"]}, 1),
        (ConnectionResetError(), {"exceptions": ["OSError"]}, 2),
        (ConnectionResetError(), {"exceptions": "OSError", "exclude": "ConnectionError"}, 1),
        (asyncio.QueueFull(), {"exceptions": ["asyncio.queues.QueueFull"]}, 2),
        (asyncio.QueueFull(), {"exceptions": ["asyncio.queues:QueueEmpty"]}, 1),
        (asyncio.QueueFull(), {"exceptions": ["asyncio.QueueFull"]}, 2),
        (TimeoutError(), {"exceptions": ["socket.timeout"]}, 2),
        (type("Late", (Exception,), {"__module__": "not_loaded.yet"})(), {"exceptions": ["not_loaded.yet.Late"]}, 2),
    ],
)
def test_only_the_exceptions_asked_for_are_retried(app, staged, steps, error, options, calls):
    work = Flaky(error)
    stage = staged("plain", "retry", options, following=work, sleep=steps().sleep)
    with contextlib.suppress(type(error)):
        stage(1)
    assert work.calls == calls
    assert app.decisions("plain") == ({"not_retried": 1} if calls == 1 else {"retried": 1, "recovered": 1})


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_what_ends_a_program_or_a_task_is_never_retried(app, staged, stop):
    work = Flaky(stop())
    with pytest.raises(stop):
        asyncio.run(staged("coroutine", "retry", {}, following=awaited(work))(1))
    assert work.calls == 1


def test_retries_stay_within_their_share_of_the_calls(app, staged, steps):
    failing = Flaky(*[OSError() for _ in range(10_000)])
    options = {"attempts": 20, "budget": "10%", "reserve": 5}
    stage = staged("plain", "retry", options, following=failing, sleep=steps().sleep)
    for _ in range(200):
        with pytest.raises(OSError):  # noqa: PT011
            stage(1)
    assert failing.calls == 200 + 5 - 1 + 20  # the first call finds the reserve full and adds nothing
    assert app.decisions("plain") == {"retried": 24, "over_budget": 200}


def test_the_budget_outlives_a_change_beside_it_and_is_shared_by_threads(app):
    budget = Budget(0.0, 100)
    spent, start = [], threading.Barrier(8)

    def work():
        start.wait(20)
        spent.extend(budget.spend() for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(spent) == 100
    app.apply("plain", {"retry": {"reserve": 7}})
    keep = app.attachments.by_name[app.name("plain")].keep
    [before] = keep.values()
    app.apply("plain", {"log": {}}, {"retry": {"reserve": 7}})
    assert list(keep.values()) == [before]


def test_states_of_options_long_gone_are_forgotten(app):
    for reserve in range(1, 40):
        app.apply("plain", {"retry": {"reserve": reserve}})
    [key] = app.attachments.by_name[app.name("plain")].keep
    assert "('reserve', 39" in key[2]


@pytest.mark.parametrize("form", ["generator", "async_generator"])
def test_generators_are_refused(app, form):
    report = app.apply(form, {"retry": {}})
    assert (report.state, "a part already" in report.reason) == ("failed", True)
