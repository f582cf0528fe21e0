"""Five thousand functions and a hundred thousand spans: what cannot be seen is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.web.browser import Window
from tests.e2e.web.crowd import FUNCTIONS, SPANS, TRACES, Crowded, crowd

MOST_ROWS = 80


@pytest.fixture(scope="module")
def crowded(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowded]:
    with crowd(tmp_path_factory.mktemp("crowded")) as found:
        yield found


def test_five_thousand_functions_are_sorted_found_and_scrolled_through(browser: Browser, crowded: Crowded) -> None:
    window = Window(browser, crowded.url + "/")
    page = window.open("functions")
    window.says(f"{FUNCTIONS:,} of {FUNCTIONS:,}")
    table = page.get_by_role("table", name="Functions")
    rows = table.locator("tbody tr:not([aria-hidden])")
    assert table.get_attribute("aria-rowcount") == str(FUNCTIONS + 1)
    assert 10 < rows.count() < MOST_ROWS
    page.get_by_role("button", name="Calls").click()
    expect(rows.first).to_contain_text("function_4999")
    page.locator(".grid").focus()
    page.keyboard.press("End")
    last = page.locator(f'tbody tr[data-at="{FUNCTIONS - 1}"]')
    expect(last).to_contain_text("function_0000")
    expect(last.locator("a")).to_be_focused()
    assert rows.count() < MOST_ROWS
    page.get_by_label("Name").fill("FUNCTION_1234")
    expect(rows).to_have_count(1)
    window.says(f"1 of {FUNCTIONS:,}")
    page.keyboard.press("/")
    window.close()
    assert not window.complaints


def test_a_hundred_thousand_spans_are_searched_and_drawn(browser: Browser, crowded: Crowded) -> None:
    assert crowded.get("/api/status")["store"]["spans"] == TRACES * SPANS
    window = Window(browser, crowded.url + "/")
    page = window.open("traces")
    window.says(f"50 traces; {TRACES * SPANS:,} spans are kept in all")
    page.get_by_label("Function", exact=True).fill("shop.module_7:function_0007")
    page.get_by_label("Function", exact=True).press("Enter")
    expect(page.get_by_role("table", name="Traces").locator("tbody tr")).to_have_count(50)
    expect(page.locator(".flame .box").first).to_contain_text("shop.module_7.function_0007")
    page.get_by_role("table", name="Traces").locator("tbody a").first.click()
    calls = page.get_by_role("table", name="Calls of this trace")
    expect(calls).to_have_attribute("aria-rowcount", str(SPANS + 1))
    assert calls.locator("tbody tr:not([aria-hidden])").count() < MOST_ROWS
    window.close()
    assert not window.complaints
