"""What the page says of one function, of searches and of what is stale: as the API says it."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.collector.conftest import running
from tests.collector.messages import duration, metrics
from tests.e2e.web.browser import Window, until
from tests.e2e.web.market import Market

PRICE = "functions/market:price"


def test_decisions_are_told_with_their_reasons(window: Window, market: Market) -> None:
    market.hijack("snapshot", {"count": 1})
    market.sell(5)
    until(lambda: any("reason" in one for one in market.figures("market:price")["decisions"]), "the reason")
    page = window.open(PRICE)
    rows = page.get_by_role("table", name="Decisions").locator("tbody tr")
    expect(rows.filter(has_text="spent")).to_contain_text("all snapshots are taken")
    told = market.figures("market:price")["decisions"]
    shown = [tuple(cell.strip() for cell in row.locator("td").all_inner_texts()) for row in rows.all()]
    assert shown == [
        (one["strategy"], one["decision"], one.get("reason", ""), window.units("exact", one["count"])) for one in told
    ]


def test_latency_calls_and_the_verdict_on_a_cache_are_those_of_the_api(window: Window, market: Market) -> None:
    market.sell(3)
    page = window.open(PRICE)
    [*_, newest] = market.figures("market:price")["history"]
    label = f"p95 {window.units('duration', newest['p95'])}, average {window.units('duration', newest['avg_time'])}"
    chart = page.get_by_role("img", name="Latency")
    expect(chart).to_have_attribute("aria-label", f"Latency; now: {label}")
    expect(chart.locator(".u-value").nth(1)).to_have_text(window.units("duration", newest["p95"]))
    verdict = market.api("/api/analysis/cacheability/market:price")
    expect(page.locator(".part", has_text="Worth a cache?").locator(".tag").first).to_have_text(verdict["verdict"])
    window.says(verdict["reasons"][0])


def test_from_a_function_its_traces_are_one_step_away(window: Window, market: Market) -> None:
    page = window.open(PRICE)
    page.get_by_role("link", name="Its traces and flame graph").click()
    expect(page.get_by_label("Function", exact=True)).to_have_value("market:price")
    expect(page.locator(".flame .box").first).to_contain_text("market.price")
    for trace in market.api("/api/traces?function=market:price&limit=3")["traces"]:
        assert page.locator(f'a[href="#/traces/{trace["trace_id"]}"]').count() == 1


def test_traces_are_searched_by_duration_and_a_wrong_one_is_explained(window: Window, market: Market) -> None:
    page = window.open("traces")
    rows = page.get_by_role("table", name="Traces").locator("tbody tr")
    expect(rows.first).to_be_visible()
    page.get_by_label("Longer than").fill("soon")
    page.get_by_label("Longer than").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("min_duration")
    page.get_by_label("Longer than").fill("3600")
    page.get_by_label("Longer than").press("Enter")
    expect(page.get_by_text("No trace matches.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert "min_duration=3600" in page.url
    page.get_by_label("Longer than").fill("")
    page.get_by_label("Longer than").press("Enter")
    expect(rows.first).to_be_visible()
    assert all("422" in one for one in window.complaints)
    window.complaints.clear()


def test_strategies_of_another_stage_are_not_shown_as_in_force(window: Window, market: Market) -> None:
    stages = {"production": [{"mock": {"value": 1}}], "*": ["log"]}
    market.api("/api/hijacks", {"target": "market:label", "stages": stages, "owner": "ada"})
    until(lambda: "log" in str(market.api("/api/hijacked")["hijacked_functions"][0]["in_force"]), "the hijack")
    window.open("functions")
    assert window.row("Functions", "market:label")[2] == "log"


def test_what_has_had_its_time_is_offered_for_removal_and_the_audit_has_it(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, servers="off") as collector:
        source = collector.parts.settings.project_root / "app.py"
        source.write_text("def slow():\n    return 1\n")
        body = {"target": "app:slow", "stages": ["log"], "owner": "ada", "reason": "long ago"}
        collector.post("/api/hijacks", body, 201)
        window = Window(browser, collector.url + "/")
        page = window.open("hijacks")
        part = page.locator(".part", has_text="Has had its time")
        expect(part).to_be_hidden()
        source.write_text("def slow():\n    return 2\n")
        [stale] = collector.get("/api/hijacks/stale")["stale"]
        window.open("hijacks")
        expect(part).to_contain_text(stale["reasons"][0]["text"])
        part.get_by_role("button", name="Release").click()
        expect(part).to_be_hidden()
        assert collector.get("/api/hijacks")["count"] == 0
        rows = page.get_by_role("table", name="Audit log").locator("tbody tr")
        expect(rows).to_have_count(2)
        for row, line in zip(rows.all(), collector.get("/api/audit")["audit"], strict=True):
            for text in (line["action"], line["actor"], "app:slow"):
                expect(row).to_contain_text(text)
        window.close()
        assert not window.complaints


def test_what_agents_dropped_is_in_sight(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, servers="off") as collector:
        window = Window(browser, collector.url + "/")
        page = window.open()
        window.says("nothing was lost")
        told = metrics(duration("m:f", {20: 3}), facts={("mystic.agent.dropped", "spans"): 1234})
        assert collector.otlp("/v1/metrics", told).status_code == 200
        dropped = page.locator(".figure", has_text="Dropped")
        expect(dropped).to_contain_text("1,234")
        expect(dropped).to_have_attribute("data-kind", "bad")
        window.says("1,234 spans")
        window.close()
