"""What keeps failing is not called for a while, then probed by one call at a time."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from mystic_agent.strategies.breaker import CLOSED, FAILED, HALF_OPEN, NEITHER, OPEN, SUCCEEDED, Breaker, Limits

SECOND = 10**9
LIMITS = Limits(ratio=0.5, failures=0, minimum=4, window=10 * SECOND, open_for=5 * SECOND, probes=2)


class Clock:
    def __init__(self):
        self.now = 1000 * SECOND

    def __call__(self):
        return self.now


def breaker(**limits):
    clock = Clock()
    return Breaker(LIMITS._replace(**limits), clock), clock


def feed(one, outcomes):
    for outcome in outcomes:
        one.tell(one.ask().epoch, {"f": FAILED, "s": SUCCEEDED, "n": NEITHER}[outcome])


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("fff", CLOSED),
        ("ffff", OPEN),
        ("sfsf", OPEN),
        ("sssff", CLOSED),
        ("sssfff", OPEN),
        ("fffn", CLOSED),
        ("ffs", CLOSED),
        ("ffss", OPEN),
    ],
)
def test_it_opens_at_the_ratio_and_not_below_the_minimum(outcomes, state):
    one, _ = breaker()
    feed(one, outcomes)
    assert one.state == state


def test_it_opens_at_a_count_whatever_the_ratio():
    one, _ = breaker(failures=3, ratio=1.0, minimum=1000)
    feed(one, "ssssssfssssfssss")
    assert one.state == CLOSED
    feed(one, "f")
    assert one.state == OPEN


def test_a_percentage_is_exact():
    one, _ = breaker(ratio=0.07, minimum=100)
    feed(one, "s" * 93 + "f" * 7)
    assert one.state == OPEN


def test_what_is_older_than_the_window_no_longer_counts():
    one, clock = breaker()
    feed(one, "fff")
    clock.now += 10 * SECOND
    feed(one, "fff")
    assert one.state == CLOSED
    clock.now += 9 * SECOND
    feed(one, "f")
    assert one.state == OPEN


def test_while_open_nothing_passes_and_then_one_probe_at_a_time():
    one, clock = breaker()
    feed(one, "ffff")
    clock.now += 5 * SECOND - 1
    assert [one.ask() for _ in range(3)] == [(-1, OPEN, False)] * 3
    clock.now += 1
    probe = one.ask()
    assert (probe.state, probe.turned) == (HALF_OPEN, True)
    assert one.ask().epoch == -1
    assert one.tell(probe.epoch, SUCCEEDED) == ""
    second = one.ask()
    assert (second.state, second.turned) == (HALF_OPEN, False)
    assert one.tell(second.epoch, SUCCEEDED) == CLOSED
    feed(one, "fff")
    assert one.state == CLOSED  # it begins from nothing


def test_a_failed_probe_opens_it_for_the_whole_time_again():
    one, clock = breaker()
    feed(one, "ffff")
    clock.now += 5 * SECOND
    assert one.tell(one.ask().epoch, FAILED) == OPEN
    clock.now += 5 * SECOND - 1
    assert one.ask().epoch == -1


def test_a_probe_that_is_cancelled_gives_its_permission_back():
    one, clock = breaker(probes=1)
    feed(one, "ffff")
    clock.now += 5 * SECOND
    assert one.tell(one.ask().epoch, NEITHER) == ""
    assert one.tell(one.ask().epoch, SUCCEEDED) == CLOSED


def test_a_probe_that_never_ends_loses_its_permission_and_its_say():
    one, clock = breaker(probes=1)
    feed(one, "ffff")
    clock.now += 5 * SECOND
    lost = one.ask()
    clock.now += 5 * SECOND
    probe = one.ask()
    assert probe.state == HALF_OPEN
    assert one.tell(lost.epoch, FAILED) == ""
    assert one.tell(probe.epoch, SUCCEEDED) == CLOSED


def test_calls_that_began_before_it_opened_decide_nothing_afterwards():
    one, clock = breaker(probes=1)
    early = [one.ask() for _ in range(3)]
    feed(one, "ffff")
    clock.now += 5 * SECOND
    probe = one.ask()
    assert [one.tell(call.epoch, FAILED) for call in early] == ["", "", ""]
    assert one.tell(probe.epoch, SUCCEEDED) == CLOSED


def test_a_forked_child_does_not_wait_for_the_probe_of_its_parent():
    one, clock = breaker()
    feed(one, "ffff")
    clock.now += 5 * SECOND
    one.ask()
    one.reset()
    assert one.ask().state == HALF_OPEN


@settings(deadline=None, database=None)
@given(
    some.lists(some.tuples(some.sampled_from("fsn"), some.integers(0, 3 * SECOND)), max_size=60),
    some.integers(1, 6),
)
def test_it_does_what_a_list_of_all_calls_would_say(calls, minimum):
    one, clock = breaker(minimum=minimum)
    began, seen = clock.now // SECOND, []
    for outcome, later in calls:
        clock.now += later
        feed(one, outcome)
        slot = clock.now // SECOND
        if outcome != "n":
            seen.append((slot, outcome))
        recent = [what for at, what in seen if at > slot - 10 and at >= began]
        failures = recent.count("f")
        if outcome != "n" and failures and len(recent) >= minimum and failures * 2 >= len(recent):
            assert one.state == OPEN
            return
        assert one.state == CLOSED


def test_exactly_one_of_many_threads_gets_the_probe():
    one, clock = breaker()
    feed(one, "ffff")
    clock.now += 5 * SECOND
    start, permits = threading.Barrier(16), []

    def work():
        start.wait(20)
        permits.append(one.ask())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(permit.state for permit in permits) == [HALF_OPEN] + [OPEN] * 15


@pytest.mark.parametrize("form", ["plain", "coroutine", "Thing.by_class"])
def test_callers_of_an_open_function_are_told_and_it_is_not_called(app, form):
    app.apply(form, {"circuit_breaker": {"minimum": 3, "open_for": "1h", "exception": "ConnectionError"}})
    for _ in range(3):
        with pytest.raises(app.module.Failure):
            app.call(form, "fail")
    for _ in range(2):
        with pytest.raises(ConnectionError, match="has failed too often and is not called for 3600 s"):
            app.call(form, 1)
    assert app.runs == ["fail"] * 3
    assert app.decisions(form) == {"closed": 3, "turned_open": 1, "open": 2}


def test_it_closes_again_when_a_probe_succeeds(app, staged):
    clock, failing = Clock(), [True]

    def work():
        if failing:
            raise OSError
        return "ok"

    stage = staged("plain", "circuit_breaker", {"minimum": 1, "open_for": "1s"}, following=work, clock=clock)
    for error in (OSError, RuntimeError):
        with pytest.raises(error):
            stage()
    clock.now += SECOND
    failing.clear()
    assert [stage(), stage()] == ["ok", "ok"]
    assert app.decisions("plain") == {
        "closed": 2,
        "turned_open": 1,
        "open": 1,
        "turned_half_open": 1,
        "probe": 1,
        "turned_closed": 1,
    }


@pytest.mark.parametrize("options", [{"exclude": "{}.Failure"}, {"exceptions": "OSError"}])
def test_exceptions_that_are_no_failures_do_not_open_it(app, options):
    given = {key: value.format(app.module.__name__) for key, value in options.items()}
    app.apply("plain", {"circuit_breaker": {"minimum": 1, **given}})
    for _ in range(5):
        with pytest.raises(app.module.Failure):
            app.call("plain", "fail")
    assert app.decisions("plain") == {"closed": 5}


def test_a_cancellation_is_no_failure(app, staged):
    async def forever():
        await asyncio.get_running_loop().create_future()

    stage = staged("coroutine", "circuit_breaker", {"minimum": 1}, following=forever)

    async def main():
        for _ in range(3):
            task = asyncio.create_task(stage())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert app.decisions("coroutine") == {"closed": 3}


def test_it_stays_open_when_another_strategy_is_put_beside_it(app):
    options = {"circuit_breaker": {"minimum": 1, "open_for": "1h"}}
    app.apply("plain", options)
    with pytest.raises(app.module.Failure):
        app.call("plain", "fail")
    app.apply("plain", {"log": {}}, options)
    with pytest.raises(RuntimeError, match="failed too often"):
        app.call("plain", 1)


@pytest.mark.parametrize("form", ["generator", "async_generator"])
def test_generators_are_refused(app, form):
    report = app.apply(form, {"circuit_breaker": {}})
    assert (report.state, "their consumer decides" in report.reason) == ("failed", True)
