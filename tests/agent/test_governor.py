"""What the agent costs stays within its budget, and whoever is stepped down is told why."""

from __future__ import annotations

import pytest
from module_under_test import application, hijack
from mystic_agent.governor import Cost, Governor, measure

SOURCE = """
    import threading
    def hot():
        return 1
    def cold():
        return 2
    def long():
        threading.Event().wait(0.02)
"""


class Clock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


@pytest.fixture
def governed(tmp_path):
    with application(tmp_path, SOURCE) as (module, attachments):
        clock = Clock()

        def tick(budget, seconds=1.0):
            clock.now += int(seconds * 1e9)
            governor.budget = budget
            return [name.partition(":")[2] for name in governor.tick()]

        governor = Governor(attachments, 0.03, lambda: Cost(1000.0, 100.0), clock)
        yield module, attachments, governor, tick


def state(module, attachments, function):
    report = attachments.reports()[f"{module.__name__}:{function}"]
    return report.state, report.reason


def test_within_the_budget_nothing_changes_and_the_share_is_known(governed):
    module, attachments, governor, tick = governed
    for _ in range(1000):
        module.hot()
    assert tick(0.03) == []
    assert governor.share == pytest.approx(0.001)
    assert state(module, attachments, "hot") == ("attached", "")


def test_the_hottest_is_first_counted_then_released_and_says_so(governed):
    module, attachments, _, tick = governed
    for _ in range(10_000):
        module.hot()
    module.cold()
    assert tick(0.005) == ["hot"]
    assert state(module, attachments, "hot")[0] == "counting"
    assert "over the budget of 0.5% in all" in state(module, attachments, "hot")[1]
    for _ in range(10_000):
        module.hot()
    meter = attachments.by_name[f"{module.__name__}:hot"].meter
    assert meter.calls == 20_000
    assert tick(0.0005) == ["hot"]
    assert state(module, attachments, "hot")[0] == "released"
    assert state(module, attachments, "cold")[0] == "attached"
    module.hot()
    assert meter.calls == 20_000


def test_without_a_budget_nothing_is_stepped_down(governed):
    module, _, _, tick = governed
    for _ in range(10_000):
        module.hot()
    assert tick(0.0) == []


def test_a_function_that_takes_long_is_worth_its_observation(governed):
    module, attachments, _, tick = governed
    module.long()
    assert tick(1e-9) == []
    assert state(module, attachments, "long")[0] == "attached"


def test_what_a_hijack_changes_is_never_taken_away_by_the_governor(governed):
    module, attachments, _, tick = governed
    attachments.apply([hijack(f"{module.__name__}:hot", {"cache": {}})])
    for _ in range(1000):
        module.hot()
    assert tick(1e-9) == []


def test_the_cost_of_a_call_is_measured_on_this_machine():
    cost = measure()
    assert 10 <= cost.count < cost.observe < 1e6
