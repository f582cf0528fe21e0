"""The pages on custom strategies, shadow, record and replay do what they say, in real processes."""

from __future__ import annotations

import subprocess
import zipfile
from typing import Any

import pytest
from lab import BIN, BOOTSTRAP, PATIENCE, Lab, until
from pages import Page
from service import Service


def hijack(lab: Lab, body: dict[str, Any], identity: str = "") -> str:
    """Add a hijack, or replace one; return its id once some process has answered."""
    method, path = ("PUT", f"/api/hijacks/{identity}") if identity else ("POST", "/api/hijacks")
    status, made = lab.api(method, path, body)
    assert status in (200, 201), made
    until(lambda: progress(lab, made["id"])["answered"], "an answer to the hijack")
    return str(made["id"])


def progress(lab: Lab, identity: str) -> dict[str, Any]:
    return lab.api("GET", f"/api/hijacks/{identity}")[1]["progress"]  # type: ignore[no-any-return]


def notes(lab: Lab, identity: str) -> str:
    return " ".join(one["note"] for one in progress(lab, identity)["notes"])


def failures(lab: Lab, identity: str) -> str:
    return " ".join(one["reason"] for one in progress(lab, identity)["failures"])


@pytest.fixture
def discounted(lab: Lab) -> Service:
    """A service beside which the package of the page is installed, as pip would lay it out."""
    package, site = lab.folder / "package", lab.folder / "site"
    Page("custom-strategies.md").write(package, "pyproject.toml", "discount.py")
    built = subprocess.run(
        [BIN / "python", "-m", "hatchling", "build", "-t", "wheel"],
        cwd=package,
        env=lab.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert built.returncode == 0, built.stderr
    [wheel] = (package / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (lab.folder / "shop.py").write_text("def price(customer, item='pen'):\n    return len(item) * 2.0\n")
    return Service(lab, "shop:price", PYTHONPATH=f"{BOOTSTRAP}:{site}", MYSTIC_ALLOW="discount")


def test_a_custom_strategy_from_an_installed_package_decides_over_calls(lab: Lab, discounted: Service) -> None:
    [body] = Page("custom-strategies.md").requests
    identity = hijack(lab, body)
    until(lambda: discounted.call(customer="ada") == {"returned": 3.0}, "half prices")
    assert discounted.call(customer="eve") == {"raised": "PermissionError", "text": "this account is closed"}
    assert lab.api("DELETE", f"/api/hijacks/{identity}")[0] == 200
    until(lambda: discounted.call(customer="eve") == {"returned": 6.0}, "whole prices")


@pytest.mark.parametrize(("options", "reason"), [({}, "KeyError: share"), ({"share": 0.5, "closed": 5}, "TypeError")])
def test_one_that_fails_takes_itself_off_and_no_caller_notices(
    lab: Lab, discounted: Service, options: dict[str, Any], reason: str
) -> None:
    custom = {"custom": {"name": "discount", "options": options}}
    identity = hijack(lab, {"target": "shop:price", "stages": [custom], "owner": "test"})
    until(lambda: (discounted.call(customer="ada"), failures(lab, identity))[1], "the hijack to take itself off")
    assert discounted.call(customer="ada") == {"returned": 6.0}
    assert "custom was taken off" in failures(lab, identity)
    assert reason in failures(lab, identity)
    assert f"{identity} in pid" in lab.mystic("status").stdout
    assert progress(lab, identity)["attached"] == 0


def test_a_new_implementation_goes_from_shadow_to_full_and_a_worse_one_comes_back(lab: Lab) -> None:
    page = Page("shadow.md")
    page.write(lab.folder, "shop.py")
    [body] = page.requests
    service = Service(lab, "shop:price")
    identity = hijack(lab, body)
    right = {"returned": {"item": "pen", "total": 3.0}}
    seen = set()

    def full() -> bool:
        for n in range(20):
            assert service.call(item=f"item {n}")["returned"]["total"] == 3.0
        stage = notes(lab, identity).partition(";")[0]
        seen.add(stage)
        return stage == "shadow: full"

    until(full, "the new one for all")
    assert seen <= {"shadow: beside the old one", "shadow: canary, 20% of calls", "shadow: full"}
    assert "shadow: full" in lab.mystic("status").stdout

    worse = {"shadow": {"to": "shop:price_rounded", "window": 0}}
    hijack(lab, {**body, "stages": [worse]}, identity)

    def back() -> bool:
        assert service.call(item="pen") == right
        return "rolled back" in notes(lab, identity)

    until(back, "the worse one to come back")
    assert "results differ; e.g. total: 3.0 became 3.1" in notes(lab, identity)
    query = {"function": "shop:price", "text": "results differ"}
    [event] = until(lambda: lab.api("POST", "/api/logs", query)[1]["logs"], "the event")
    assert "rolled_back" in str(event)


def test_what_production_gave_is_replayed_in_development_and_drift_is_told(lab: Lab) -> None:
    page = Page("record-replay.md")
    page.write(lab.folder, "rates.py")
    [body] = page.requests
    production = Service(lab, "rates:rate", MYSTIC_ENV="production")
    identity = hijack(lab, body)
    missing = {"raised": "LookupError", "text": "no such currency: QQQ"}
    until(lambda: (production.call(currency="EUR"), recorded(lab))[1] == 1, "the first outcome")
    assert production.call(currency="QQQ") == missing
    until(lambda: recorded(lab) == 2, "both outcomes")
    assert "k-123" not in str(lab.api("GET", "/api/recordings/rates-of-may")[1])
    lab.stop_collector()
    lab.start_collector()

    development = Service(lab, "rates:rate", MYSTIC_ENV="development", RATE="9")
    replayed = {"returned": {"currency": "EUR", "rate": 1.5, "api_key": "[redacted]"}}
    until(lambda: development.call(currency="EUR") == replayed, "the replay")
    assert development.call(currency="QQQ") == missing
    assert development.call(currency="USD")["returned"]["rate"] == 9.0
    assert production.call(currency="EUR")["returned"]["rate"] == 1.5

    body["stages"]["development"][0]["replay"]["check"] = 1
    hijack(lab, body, identity)

    def drifted() -> bool:
        development.call(currency="EUR")
        return "drift, e.g. rate: 1.5 became 9.0" in notes(lab, identity)

    until(drifted, "the drift")
    assert development.call(currency="EUR")["returned"]["rate"] == 9.0
    assert lab.api("DELETE", "/api/recordings/rates-of-may")[1]["removed"] == 2


def recorded(lab: Lab) -> int:
    return sum(one["count"] for one in lab.api("GET", "/api/recordings")[1]["recordings"])
