"""What the agent costs is told per function and in all."""

from __future__ import annotations

import pytest
from mystic_agent.contract.strategy import STRATEGIES
from mystic_collector.analysis.overhead import TIMES, Cost, overhead
from mystic_collector.store.records import Recent

from .conftest import Running
from .test_external import send_counts


def test_calls_times_what_one_costs_with_what_strategies_add() -> None:
    recent = [Recent("shop", "m:busy", 600_000, 0, 0), Recent("shop", "m:logged", 600, 0, 0)]
    found = overhead(recent, 60.0, {"shop": Cost(300.0, 50.0)}, {("shop", "m:logged"): ("observe", "log")})
    busy, logged = found["functions"]
    assert busy["share_of_core"] == pytest.approx(10_000 * 300e-9)
    assert (busy["per_call"], busy["calls_per_second"]) == (pytest.approx(300e-9), 10_000)
    assert logged["per_call"] == pytest.approx(300e-9 * (1 + TIMES["log"]))
    assert found["share_of_core"] == pytest.approx(busy["share_of_core"] + logged["share_of_core"])


def test_calls_that_are_only_counted_cost_what_counting_costs() -> None:
    found = overhead([Recent("shop", "m:f", 0, 6_000, 0)], 60.0, {"shop": Cost(300.0, 50.0)}, {})
    assert found["functions"][0]["per_call"] == pytest.approx(50e-9)


def test_a_service_whose_processes_have_not_told_their_cost_is_named() -> None:
    found = overhead([Recent("other", "m:f", 1, 0, 0)], 60.0, {}, {})
    assert (found["functions"], found["uncosted"]) == ([], ["other"])


def test_every_strategy_has_its_price() -> None:
    assert set(STRATEGIES) - {"observe", "custom"} <= set(TIMES)


def test_the_answer_is_made_of_what_agents_send(collector: Running) -> None:
    collector.report("i1", [{"function": "m:f", "state": "attached", "strategies": ["observe"]}])
    send_counts(collector, "i1", calls=1000, cost={"observe": 200.0, "count": 40.0})
    found = collector.get("/api/analysis/overhead", service="shop")
    [one] = found["functions"]
    assert (one["function"], one["per_call"]) == ("m:f", pytest.approx(200e-9))
    assert one["calls_per_second"] == pytest.approx(1000 / found["seconds"])
    assert 60 <= found["seconds"] <= 80
    assert found["measured"]["mean_share_of_core"] == pytest.approx(0.25)
    assert collector.get("/api/analysis/overhead", service="other")["functions"] == []
