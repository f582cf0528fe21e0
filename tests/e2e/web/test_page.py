"""The page in a real browser, over a real service: it shows what the API says, and changes what it says it changes."""

from __future__ import annotations

import os

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.e2e.web.browser import Window, until
from tests.e2e.web.market import HTML, Market

PRICE = "functions/market:price"
PLACES = ("", "functions", PRICE, "hijacks", "traces", "servers")


def test_figures_of_functions_are_those_of_the_api(window: Window, market: Market) -> None:
    page = window.open("functions")
    page.get_by_role("table", name="Functions").wait_for()
    for told in market.api("/api/metrics")["functions"]:
        if not told["call_count"]:
            continue
        cells = window.row("Functions", told["name"])
        expected = [
            told["name"],
            told["service"],
            "",
            window.units("count", told["call_count"]),
            str(told["exceptions"] or ""),
            *(window.units("duration", told[key]) for key in ("avg_time", "p95", "max_time", "total_time")),
        ]
        assert cells[:9] == expected
        assert cells[3] == f"{told['call_count']:,}"


def test_the_overview_shows_processes_totals_and_what_was_lost(window: Window, market: Market) -> None:
    page = window.open()
    status, summary = market.api("/api/status"), market.api("/api/metrics?limit=1")["summary"]
    window.says(f"{window.units('count', summary['total_calls'])} in all")
    window.says(f"{summary['called_functions']} called")
    [process] = status["processes"]
    cells = window.row("Processes", "market")
    assert cells[:4] == ["market", os.uname().nodename, str(process["pid"]), "development"]
    assert cells[-1] == "connected"
    window.says("nothing was lost")
    names = page.get_by_role("table", name="Slowest functions").locator("tbody td.name").all_inner_texts()
    assert names == [one["name"] for one in market.api("/api/metrics?limit=12")["functions"] if one["call_count"]]
    assert page.get_by_role("table", name="Slowest functions").locator("svg rect").count() > 0
    assert page.locator(".chart canvas").count() == 1


def test_one_function_shows_source_figures_callers_and_samples_of_calls(window: Window, market: Market) -> None:
    market.hijack("snapshot", {"count": 3, "rate": 1000})
    market.sell(2, item="mug")
    page = window.open(PRICE)
    window.says("def price(item, quantity=1):", ".source")
    told = market.figures("market:price")
    figures = page.locator("dl.figures .figure")
    assert figures.first.locator("dd").first.inner_text() == f"{told['call_count']:,}"
    assert figures.nth(4).locator("dd").first.inner_text() == window.units("duration", told["p95"])
    caller = window.row("Caller", "market:sell")
    related = market.api("/api/analysis/relations?function=market:price")
    assert [one["function"] for one in related["callers"]] == ["market:sell"]
    assert caller[1:] == [
        f"{related['callers'][0]['count']}",
        window.units("duration", related["callers"][0]["total"]),
        "100%",
    ]
    expect(page.get_by_text("foreign text from the application")).to_be_visible()
    expect(page.locator("article.sample").first).to_contain_text("'mug'")
    bars = page.locator("svg.histogram rect title").all_text_contents()
    assert sum(int(text.split()[0].replace(",", "")) for text in bars) == told["timed_count"]


def test_a_hijack_is_tried_put_seen_to_work_and_taken_back_on_the_page(window: Window, market: Market) -> None:
    page = window.open(PRICE)
    window.says("It runs as it was written.")
    page.get_by_role("button", name="Hijack with cache").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("ttl").fill("10m")
    dialog.get_by_label("Owner").fill("ada")
    dialog.get_by_label("Reason").fill("prices change at night")
    dialog.get_by_role("button", name="Dry run").click()
    expect(dialog.locator(".outcome")).to_contain_text("1 function in 1 of 1 processes")
    expect(dialog.locator(".diff .added").first).to_contain_text("+ target")
    expect(dialog.locator(".diff")).to_contain_text("ttl: 600")
    assert market.api("/api/hijacks")["count"] == 0, "a dry run changes nothing"

    dialog.get_by_role("button", name="Put in force").click()
    expect(page.locator("article.hijack")).to_contain_text("attached in 1 of 1 processes")
    [made] = market.api("/api/hijacks")["hijacks"]
    assert (made["owner"], made["reason"]) == ("ada", "prices change at night")
    market.sell(30)
    hits = page.get_by_role("table", name="Decisions").locator("tbody tr", has_text="hit")
    expect(hits).to_contain_text("29")  # live, nobody has loaded the page again
    expect(page.locator("article.hijack")).to_contain_text("after")

    page.get_by_role("button", name="Undo").first.click()
    window.says("It runs as it was written.")
    assert market.api("/api/hijacks")["count"] == 0
    line = market.api("/api/audit?limit=2")["audit"][0]
    assert (line["action"], line["actor"]) == ("undo", "ada")


def test_hijacks_show_who_why_how_far_and_to_what_effect_and_can_be_released(window: Window, market: Market) -> None:
    made = market.hijack("cache", {"ttl": 600})
    market.sell(30)
    page = window.open("hijacks")
    cells = window.row("Hijacks in force", "market:price")
    assert cells[:4] == ["market:price", "cache", "ada", "a test"]
    assert cells[6] == "1 of 1"
    after = market.api(f"/api/hijacks/{made}/impact")["versions"][0]["sum"]["after"]
    assert (after["hits"], after["misses"]) == (29, 1)
    rate = window.units("share", after["hits"] / (after["hits"] + after["misses"]))
    expect(page.get_by_role("table", name="Hijacks in force")).to_contain_text(f"{rate} hits")
    page.get_by_role("link", name="market:price").first.click()
    window.says(f"hijack {made}")
    window.says("before")
    page.get_by_role("button", name="Release market:price").click()
    window.says("No hijacks: everything runs as it was written.")
    assert market.api("/api/hijacks")["count"] == 0
    expect(page.locator(".history")).to_contain_text("removed market:price")
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.get_by_role("dialog").locator(".diff .added").first).to_contain_text(made)
    page.get_by_role("dialog").get_by_role("button", name="Undo").click()
    until(lambda: market.api("/api/hijacks")["count"] == 1, "the way back")


def test_everything_is_switched_off_and_on_again_and_every_page_says_so(window: Window, market: Market) -> None:
    page = window.open("hijacks")
    page.get_by_role("button", name="Switch everything off").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("is it us?")
    page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("alert")).to_contain_text("switched off in all processes")
    assert market.api("/health")["off"] == ["*"]
    page.get_by_role("button", name="Switch on again").click()
    expect(page.locator("#banner")).to_be_hidden()
    assert market.api("/health")["off"] == []


def test_traces_are_found_and_drawn_as_they_happened(window: Window, market: Market) -> None:
    market.sell(1, item="lamp")
    page = window.open("traces")
    page.get_by_label("With errors only").check()
    failed = market.api("/api/traces?errors=true&limit=50")["traces"]
    expect(page.get_by_role("table", name="Traces").locator("tbody tr")).to_have_count(len(failed))
    page.get_by_label("With errors only").uncheck()
    page.get_by_label("Function", exact=True).fill("market:label")
    page.get_by_label("Function", exact=True).press("Enter")
    wanted = market.api("/api/traces?function=market:label&limit=50")["traces"]
    expect(page.get_by_role("table", name="Traces").locator("tbody tr")).to_have_count(len(wanted))
    expect(page.locator(".flame .box").first).to_contain_text("market.label")
    page.get_by_role("table", name="Traces").locator("tbody a").first.click()
    told = market.api(f"/api/traces/{wanted[0]['trace_id']}")
    rows = page.get_by_role("table", name="Calls of this trace").locator("tbody tr")
    expect(rows).to_have_count(told["span_count"])
    elsewhere = page.get_by_role("link", name="open in the tracing UI")
    assert elsewhere.get_attribute("href") == f"http://traces.example/trace/{told['trace_id']}"


def test_markup_of_names_and_captured_values_is_shown_as_text(window: Window, market: Market) -> None:
    market.hijack("log", {"args": True, "result": True}, "market:label")
    market.hijack("snapshot", {"count": 5, "rate": 100}, "market:label")
    market.sell(1, item=HTML)
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": f"{HTML}"}}]}
    span = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": f"\u202eevil {HTML}"}
    times = {"startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000100000000"}
    attributes = [{"key": HTML, "value": {"stringValue": HTML}}]
    spans = [{**span, **times, "attributes": attributes, "status": {"code": 2, "message": HTML}}]
    market.api("/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})
    trace = f"traces/{span['traceId']}"
    until(lambda: market.lab.api("GET", f"/api/{trace}")[0] == 200, "the span")
    page = window.open(trace)
    window.says(HTML)
    page.get_by_role("button", name="evil").click()
    window.says(HTML, "dl.facts dd")
    assert "\u202e" not in page.locator("#main").inner_text(), "nothing may turn the direction of text"
    window.open("functions/market:label")
    window.says(HTML, "article.sample")
    window.says(HTML, ".logline")
    for place in ("traces", f"functions/{HTML}", "functions"):
        window.open(place)
        assert page.locator("#main img, #main script, #main b").count() == 0
        assert "Mystic" in page.title()
    # The unsafe twin: what the page never does is refused by its policy.
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>'; return ''; } catch (error) { return error.name; } }"
    )
    assert refused == "TypeError"
    window.complaints.clear()


def test_everything_can_be_done_with_the_keyboard_alone(window: Window, market: Market) -> None:
    page = window.open()
    page.keyboard.press("/")
    page.keyboard.type("price")
    expect(page.get_by_role("option", name="market:price")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    window.says("It runs as it was written.")
    button = page.get_by_role("button", name="Hijack with mock")
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("(node) => node === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.get_by_label("value", exact=True).focus()
    page.keyboard.type("7")
    page.get_by_label("Owner").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    expect(page.locator("article.hijack")).to_contain_text("attached in 1 of 1 processes")
    assert market.service.call(item="tea")["returned"]["total"] == 7
    assert page.evaluate("document.activeElement.textContent") == "mock", "focus is back where it was"

    window.open("functions")
    page.locator(".grid").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = page.get_by_role("table", name="Functions").locator("tbody a").nth(1).inner_text()
    assert page.evaluate("document.activeElement.textContent") == second
    page.keyboard.press("Enter")
    window.says(second, "h1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_amiss(browser: Browser, market: Market, scheme: str) -> None:
    market.release_all()
    market.hijack("cache", {"ttl": 600})
    market.hijack("snapshot", {"count": 2}, "market:label")
    market.sell(3)
    found = Window(browser, market.url, color_scheme=scheme)
    newest = market.api("/api/traces?limit=1")["traces"][0]["trace_id"]
    for place in (*PLACES, f"traces/{newest}"):
        page = found.open(place)
        told = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        bad = [(one["id"], [node["target"] for node in one["nodes"]][:4]) for one in told]
        assert not bad, (place, bad)
    page = found.open(PRICE)
    page.get_by_role("button", name="Hijack with retry").click()
    page.get_by_role("dialog").get_by_label("attempts").wait_for()
    told = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert not [(one["id"], [node["target"] for node in one["nodes"]]) for one in told]
    found.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(browser: Browser, market: Market, width: int) -> None:
    found = Window(browser, market.url)
    found.page.set_viewport_size({"width": width, "height": 800})
    for place in PLACES:
        page = found.open(place)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
    found.close()
