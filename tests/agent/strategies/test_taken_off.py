"""A hijack that keeps failing in a process takes itself off there, and says why."""

from __future__ import annotations

import pytest
from mystic_agent.guard import Ward, guard
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.sampler import Sampler


@pytest.fixture
def broken(monkeypatch):
    def raises(self):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(Decision, "__call__", raises)
    yield
    for fault in [fault for fault in guard.faults if fault.error in ("ZeroDivisionError", "LookupError")]:
        del guard.faults[fault]


def test_a_strategy_that_keeps_failing_is_taken_off_and_the_function_is_as_it_was(app, broken):
    app.apply("plain", {"rate_limit": {}})
    for n in range(Ward.MOST - 1):
        app.call("plain", n)
    app.attachments.take_off()
    assert app.attachments.reports()[app.name("plain")].state == "attached"
    app.call("plain", 9)
    app.attachments.take_off()
    report = app.attachments.reports()[app.name("plain")]
    assert report.state == "failed"
    assert report.reason.startswith("rate_limit was taken off: it failed 10 times within 60 s")
    assert "ZeroDivisionError" in report.reason
    assert app.runs == list(range(10))
    assert app.call("plain", 10)[0] == 10
    assert app.calls("plain") == 11


def test_failures_that_are_far_apart_do_not_take_it_off(broken):
    now, told = [0.0], []
    ward = Ward(told.append, clock=lambda: now[0])
    for _ in range(Ward.MOST * 5):
        ward.note("x", LookupError())
        now[0] += Ward.SECONDS / (Ward.MOST - 2)
    assert told == []
    for _ in range(Ward.MOST * 2):
        ward.note("x", LookupError())
    assert len(told) == 1


@pytest.fixture
def no_sample(monkeypatch):
    def raises(self, *call):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(Sampler, "_take", raises)
    yield
    for fault in [fault for fault in guard.faults if fault.where == "analyze"]:
        del guard.faults[fault]


def test_an_analysis_that_keeps_failing_is_taken_off_also_when_it_came_with_an_earlier_wording(app, no_sample):
    app.apply("plain", {"analyze": {}})
    app.apply("plain", {"analyze": {}}, {"log": {}})  # what was noted goes on, for the hijack as it is now
    for n in range(Ward.MOST):
        app.call("plain", n)
    app.attachments.take_off()
    report = app.attachments.reports()[app.name("plain")]
    assert (report.state, report.reason.startswith("analyze was taken off: it failed 10 times")) == ("failed", True)
    assert app.runs == list(range(10))


def test_an_analysis_that_nobody_has_asked_for_ends_when_it_keeps_failing_and_nothing_shows(app, no_sample):
    attached = app.attachments.by_name[app.name("plain")]
    observed, before = app.function("plain").__code__, app.attachments.reports()
    app.attachments.analyze(attached.name, 1.0)
    assert app.function("plain").__code__ is not observed
    for n in range(Ward.MOST):
        app.call("plain", n)
    app.attachments.take_off()
    assert (attached.analysis, attached.keep) == (None, {})
    assert app.attachments.reports() == before
    assert app.calls("plain") == Ward.MOST
