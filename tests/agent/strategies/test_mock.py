"""A mock gives what was asked for, in the form that callers expect, and nothing that callers share."""

from __future__ import annotations

import asyncio
import threading

import pytest


async def _all(generator):
    return [one async for one in generator]


def test_a_mock_without_options_returns_none(app):
    app.apply("plain", {"mock": {}})
    assert app.call("plain", 1) is None


def test_a_builtin_exception_is_raised_anew_at_every_call(app):
    app.apply("plain", {"mock": {"exception": "TimeoutError", "message": "too slow"}})
    caught = []
    for _ in range(2):
        with pytest.raises(TimeoutError, match="too slow") as info:
            app.call("plain", 1)
        caught.append(info.value)
    assert caught[0] is not caught[1]
    assert app.decisions("plain") == {"exception": 2}


@pytest.mark.parametrize("form", ["{0}.Failure", "{0}:Failure"])
def test_the_applications_own_exception_is_raised(app, form):
    app.apply("coroutine", {"mock": {"exception": form.format(app.module.__name__), "message": "no"}})
    with pytest.raises(app.module.Failure, match="no"):
        app.call("coroutine", 1)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("asyncio.CancelledError", "MYSTIC_ALLOW"),
        ("{0}.Needy", "cannot be made from its message alone: TypeError"),
        ("{0}.Thing", "only subclasses of Exception"),
        ("{0}.nothing", "only subclasses of Exception"),
        ("builtins.SystemExit", "only subclasses of Exception"),
        ("UnicodeDecodeError", "cannot be made from its message alone: TypeError"),
        ("mystic_agent.contract.errors.Invalid", "MYSTIC_ALLOW"),
    ],
)
def test_an_exception_that_cannot_be_raised_is_refused_with_the_reason(app, name, reason):
    report = app.apply("plain", {"mock": {"exception": name.format(app.module.__name__)}})
    assert report.state == "failed"
    assert reason in report.reason
    assert app.call("plain", 1)[0] == 1


def test_a_sequence_gives_one_result_a_call_and_then_its_last_again(app):
    app.apply("plain", {"mock": {"sequence": [1, {"raise": "KeyError", "message": "k"}, {"return": {"raise": 1}}]}})
    assert app.call("plain", 0) == 1
    with pytest.raises(KeyError, match="k"):
        app.call("plain", 0)
    assert [app.call("plain", 0) for _ in range(3)] == [{"raise": 1}] * 3
    assert app.decisions("plain") == {"value": 4, "exception": 1}


@pytest.mark.parametrize(("then", "rest"), [("cycle", [1, 2, 1]), ("last", [2, 2, 2])])
def test_a_sequence_ends_by_the_rule_given(app, then, rest):
    app.apply("coroutine", {"mock": {"sequence": [1, 2], "then": then}})
    assert [app.call("coroutine", 0) for _ in range(5)] == [1, 2, *rest]


def test_each_step_of_a_sequence_is_given_to_one_thread_only(app):
    app.apply("plain", {"mock": {"sequence": list(range(400)), "then": "original"}})
    start, given = threading.Barrier(8), []

    def work():
        start.wait(20)
        given.extend(app.module.plain("x") for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(given) == list(range(400))
    assert app.runs == []


def test_what_one_caller_does_to_a_value_stays_with_that_caller(app):
    app.apply("plain", {"mock": {"value": {"list": [1]}}})
    app.call("plain", 0)["list"].append(2)
    assert app.call("plain", 0) == {"list": [1]}


def test_generators_yield_the_list_and_never_run(app):
    app.apply("generator", {"mock": {"yields": [7, 8]}})
    assert list(app.module.generator(3)) == [7, 8]
    app.apply("async_generator", {"mock": {"yields": [7, 8]}})
    assert asyncio.run(_all(app.module.async_generator(3))) == [7, 8]
    assert app.runs == []
    assert app.calls("async_generator") == 1


def test_generators_raise_when_they_are_iterated_over(app):
    app.apply("generator", {"mock": {"exception": "LookupError"}})
    started = app.module.generator(3)
    with pytest.raises(LookupError):
        next(started)
    app.apply("async_generator", {"mock": {"exception": "LookupError"}})
    with pytest.raises(LookupError):
        asyncio.run(_all(app.module.async_generator(3)))


@pytest.mark.parametrize(
    ("function", "options", "reason"),
    [
        ("generator", {"value": 1}, "needs yields"),
        ("async_generator", {}, "needs yields"),
        ("plain", {"yields": [1]}, "for generator functions"),
    ],
)
def test_what_a_kind_of_function_cannot_give_is_refused(app, function, options, reason):
    report = app.apply(function, {"mock": options})
    assert report.state == "failed"
    assert reason in report.reason


def test_a_change_from_one_to_true_is_a_change(app):
    app.apply("plain", {"mock": {"value": 1}})
    app.apply("plain", {"mock": {"value": True}})
    assert app.call("plain", 0) is True
