"""A coroutine that takes too long is ended; what cannot be ended is refused."""

from __future__ import annotations

import asyncio

import pytest


async def forever():
    await asyncio.get_running_loop().create_future()


def test_a_coroutine_that_takes_too_long_ends_in_a_timeout_error_that_names_it(app, staged):
    stage = staged("coroutine", "timeout", {"after": "1ms"}, following=forever)
    with pytest.raises(TimeoutError, match=r":coroutine took longer than 0.001 s"):
        asyncio.run(stage())
    assert app.decisions("coroutine") == {"timed_out": 1}


def test_a_cancellation_from_outside_is_no_timeout(app, staged):
    stage = staged("coroutine", "timeout", {"after": "1h"}, following=forever)

    async def main():
        task = asyncio.create_task(stage())
        await asyncio.sleep(0)
        task.cancel("stop")
        with pytest.raises(asyncio.CancelledError, match="stop"):
            await task
        return task.cancelled()

    assert asyncio.run(main())
    assert app.decisions("coroutine") == {"finished": 1}


def test_the_coroutine_may_clean_up_and_its_own_timeout_error_passes(app, staged):
    own, cleaned = TimeoutError("of its own"), []

    async def failing():
        try:
            await forever()
        finally:
            cleaned.append(True)

    async def raising():
        raise own

    with pytest.raises(TimeoutError, match="took longer"):
        asyncio.run(staged("coroutine", "timeout", {"after": "1ms"}, following=failing)())
    assert cleaned == [True]
    with pytest.raises(TimeoutError) as caught:
        asyncio.run(staged("coroutine", "timeout", {"after": "1h"}, following=raising)())
    assert (caught.value is own, own.args) == (True, ("of its own",))


def test_where_there_is_no_asyncio_the_call_is_let_through(app):
    app.apply("coroutine", {"timeout": {"after": "1ms"}})
    with pytest.raises(StopIteration) as ended:
        app.module.coroutine(1).send(None)
    assert ended.value.value[0] == 1
    assert app.decisions("coroutine") == {"passed no asyncio task": 1}


@pytest.mark.parametrize(
    ("form", "reason"),
    [("plain", "thread would go on"), ("generator", "consumer"), ("async_generator", "consumer")],
)
def test_what_cannot_be_ended_is_refused_with_the_reason(app, form, reason):
    report = app.apply(form, {"timeout": {"after": "1s"}})
    assert (report.state, reason in report.reason) == ("failed", True)


@pytest.mark.parametrize(
    ("given", "passed", "decision"),
    [
        (None, 5.0, "lowered"),
        (60, 5.0, "lowered"),
        (3, 3, "passed"),
        ((1, 90), (1, 90), "passed its time limit is no number"),
        (True, True, "passed its time limit is no number"),
    ],
)
@pytest.mark.parametrize("form", ["plain", "coroutine"])
def test_a_time_limit_among_the_parameters_is_lowered(app, form, given, passed, decision):
    report = app.apply(form, {"timeout": {"after": "5s", "parameter": "b"}})
    assert report.state == "attached"
    assert app.call(form, 1, b=given) == (1, passed, (), 3, {})
    assert app.decisions(form) == {decision: 1}


@pytest.mark.parametrize("name", ["timeout", "rest", "more"])
def test_a_time_limit_that_is_no_parameter_is_refused(app, name):
    report = app.apply("plain", {"timeout": {"parameter": name}})
    assert (report.state, "the parameters are a, b, c, rest, more" in report.reason) == ("failed", True)
