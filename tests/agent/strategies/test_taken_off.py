"""A hijack that keeps failing in a process takes itself off there, and says why."""

from __future__ import annotations

import pytest
from mystic_agent.guard import Ward, guard
from mystic_agent.strategies.decision import Decision


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
