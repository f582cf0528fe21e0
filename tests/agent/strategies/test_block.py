"""A blocked function is not called, and its callers are told why."""

from __future__ import annotations

import asyncio

import pytest


def test_the_caller_is_told_which_function_is_blocked_and_why(app):
    app.apply("plain", {"block": {"message": "the bank is closed"}})
    with pytest.raises(PermissionError, match=r":plain is blocked: the bank is closed"):
        app.call("plain", 1)
    assert app.runs == []


@pytest.mark.parametrize(("options", "value"), [({"value": [1]}, [1]), ({"returns": True}, None), ({"value": 0}, 0)])
@pytest.mark.parametrize("form", ["plain", "coroutine", "Thing.method"])
def test_a_value_is_returned_where_one_is_given(app, form, options, value):
    app.apply(form, {"block": options})
    assert app.call(form, 1) == value
    assert app.decisions(form) == {"returned": 1}


def test_generators_are_blocked_when_they_are_iterated_over(app):
    app.apply("generator", {"block": {"exception": "LookupError"}})
    started = app.module.generator(2)
    with pytest.raises(LookupError):
        next(started)
    app.apply("async_generator", {"block": {}})
    started = app.module.async_generator(2)

    async def first():
        return await anext(started)

    with pytest.raises(PermissionError):
        asyncio.run(first())


def test_a_generator_cannot_be_blocked_with_a_value(app):
    report = app.apply("generator", {"block": {"value": 1}})
    assert (report.state, "mock.yields" in report.reason) == ("failed", True)


def test_an_exception_outside_of_the_allow_list_is_refused(app):
    report = app.apply("plain", {"block": {"exception": "asyncio.TimeoutError"}})
    assert (report.state, "MYSTIC_ALLOW" in report.reason) == ("failed", True)
