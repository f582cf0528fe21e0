"""One hijack does something else in each stage, several strategies deep, and each decision is on figures and spans."""

from __future__ import annotations

from functools import partial
from typing import Any

from lab import BOOTSTRAP, Lab, until
from service import Service

SHOP = """
import itertools

runs = itertools.count(1)

def price(item="pen"):
    return {"item": item, "run": next(runs)}
"""
HIJACK = {
    "target": "shop:price",
    "stages": {
        "development": ["log", {"mock": {"value": "stub"}}],
        "staging": ["log", {"cache": {"ttl": "50ms"}}, {"circuit_breaker": {}}],
        "production": ["log", {"cache": {"ttl": "1h"}}, {"circuit_breaker": {}}],
        "*": ["log"],
    },
    "owner": "test",
}
STAGES = ("development", "staging", "production", "testing")


def service(stage: str) -> str:
    return f"shop-{stage}"


def decided(lab: Lab, stage: str) -> dict[str, int]:
    """Return ``strategy/decision`` → how often, in the process of one stage."""
    status, found = lab.api("GET", f"/api/metrics/shop:price?service={service(stage)}")
    told = found["decisions"] if status == 200 else []
    return {f"{one['strategy']}/{one['decision']}": one["count"] for one in told}


def shows(lab: Lab, stage: str, decisions: set[str]) -> bool:
    """True when the sampled calls of one stage show these decisions and no others."""
    found: set[str] = set()
    path = f"/api/traces?function=shop:price&service={service(stage)}&limit=100"
    for trace in lab.api("GET", path)[1]["traces"]:
        for span in lab.api("GET", f"/api/traces/{trace['trace_id']}")[1]["spans"]:
            found.add(span["attributes"].get("mystic.decision", ""))
    return found - {""} == decisions


def test_one_hijack_mocks_in_development_caches_briefly_in_staging_and_long_in_production(lab: Lab) -> None:
    (lab.folder / "shop.py").write_text(SHOP)
    environment = {"PYTHONPATH": str(BOOTSTRAP), "MYSTIC_TRACES_PER_SECOND": "all"}
    apps = {
        stage: Service(lab, "shop:price", MYSTIC_ENV=stage, MYSTIC_SERVICE=service(stage), **environment)
        for stage in STAGES
    }
    until(lambda: lab.processes() == len(STAGES), "all stages")
    status, made = lab.api("POST", "/api/hijacks", HIJACK)
    assert status == 201, made

    def progress() -> Any:
        return lab.api("GET", f"/api/hijacks/{made['id']}")[1]["progress"]

    until(lambda: progress()["attached"] == len(STAGES), "the hijack in every stage")

    def run(stage: str) -> int:
        return int(apps[stage].call(item="cup")["returned"]["run"])

    assert [apps["development"].call(item="cup")["returned"] for _ in range(3)] == ["stub"] * 3
    first = run("staging")
    until(lambda: run("staging") > first, "the end of what staging keeps")
    assert {run("production") for _ in range(20)} == {1}
    assert [run("testing") for _ in range(3)] == [1, 2, 3]

    until(lambda: decided(lab, "production").get("log/logged") == 20, "the figures")
    assert decided(lab, "production") == {
        "log/logged": 20, "cache/miss": 1, "cache/hit": 19, "circuit_breaker/closed": 1,
    }  # fmt: skip
    until(lambda: decided(lab, "development").get("log/logged") == 3, "the figures")
    assert decided(lab, "development") == {"log/logged": 3, "mock/value": 3}
    until(lambda: decided(lab, "staging").get("cache/miss", 0) >= 2, "the figures")
    staging = decided(lab, "staging")
    assert staging["circuit_breaker/closed"] == staging["cache/miss"]
    until(lambda: decided(lab, "testing") == {"log/logged": 3}, "the figures")

    for stage, shown in {
        "production": {"cache:miss, circuit_breaker:closed, log:logged", "cache:hit, log:logged"},
        "development": {"mock:value, log:logged"},
        "testing": {"log:logged"},
    }.items():
        until(partial(shows, lab, stage, shown), f"the spans of {stage}")
