"""The page behind a key, and behind a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.collector.conftest import Running, running
from tests.collector.messages import duration, metrics
from tests.e2e.web.browser import Window
from tests.e2e.web.proxy import proxy

KEY = "k3y-of-the-house"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, api_key=KEY, servers="off") as found:
        found.client.headers["X-Mystic-Key"] = KEY
        assert found.otlp("/v1/metrics", metrics(duration("m:f", {20: 7}))).status_code == 200
        found.settle()
        yield found


def enter(window: Window, key: str) -> None:
    window.page.get_by_label("Key").fill(key)
    window.page.get_by_role("button", name="Open").click()


def test_the_key_is_asked_for_once_and_scripts_cannot_read_the_cookie(browser: Browser, locked: Running) -> None:
    window = Window(browser, locked.url + "/")
    page = window.open("functions", shown="dialog")
    enter(window, "wrong")
    expect(page.get_by_role("alert").last).to_contain_text("not the key")
    enter(window, KEY)
    window.says("m:f")
    [cookie] = window.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert KEY not in str(cookie["value"])
    assert page.evaluate("document.cookie") == ""
    assert KEY not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")

    again = window.open("hijacks")
    expect(again.get_by_role("dialog")).to_have_count(0)
    expect(again.locator("#live")).to_have_text("live")
    again.get_by_role("button", name="Log out").click()
    again.get_by_role("dialog").wait_for()
    assert window.context.cookies() == []
    window.close()


def test_the_page_works_below_a_path_live_and_behind_the_key(browser: Browser, locked: Running) -> None:
    with proxy(locked.server.address[1]) as address:
        window = Window(browser, address)
        page = window.open("functions", shown="dialog")
        enter(window, KEY)
        window.says("m:f")
        expect(page.locator("#live")).to_have_text("live")
        locked.otlp("/v1/metrics", metrics(duration("m:g", {20: 3})))
        window.says("m:g")
        [cookie] = window.context.cookies()
        assert cookie["path"] == "/tools/mystic"
        page.get_by_role("link", name="m:g").click()
        window.says("m:g", "h1")
        assert page.url.startswith(address)
        window.close()


def test_a_page_that_lost_its_collector_says_so_and_goes_on_when_it_is_back(browser: Browser, tmp_path: Path) -> None:
    def begin(**more: Any) -> Any:
        return running(tmp_path, servers="off", **more)

    with begin() as first:
        window = Window(browser, first.url + "/")
        page = window.open("hijacks")
        expect(page.locator("#live")).to_have_text("live")
        port = first.server.address[1]
    expect(page.locator("#live")).to_have_text("offline")
    with begin(port=port) as second:
        expect(page.locator("#live")).to_have_text("live")
        second.post("/api/hijacks", {"target": "m:f", "stages": ["observe"], "owner": "ada"}, 201)
        window.says("m:f")
        window.close()


def test_a_page_of_which_a_file_did_not_arrive_tries_again(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, servers="off") as collector:
        window = Window(browser, collector.url + "/")
        window.page.route("**/grid.js", lambda route: route.abort("failed"), times=1)
        window.page.goto(window.url + "#/hijacks")
        window.says("No hijacks: everything runs as it was written.")
        assert window.page.evaluate("sessionStorage.length") == 0
        window.close()
