"""A real Chromium with the page in it, and what it complains about."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 30_000.0
"""Milliseconds."""

ATTEMPTS = 6
_PASSING = ("ERR_NETWORK_CHANGED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "401 (Unauthorized)")
"""Chromium drops its requests whenever a container somewhere on the machine comes or goes; the page asks again."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser; skip where there is none."""
    path = os.environ.get("MYSTIC_TEST_CHROMIUM") or shutil.which("chromium") or ""
    if not path:
        pytest.skip("MYSTIC_TEST_CHROMIUM names no chromium, and none is on PATH")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """One visitor: a browser's window with cookies and storage of its own.

    Attributes:
        complaints: what the browser has said against the page: errors, and breaches of its policy.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.context.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(one in message.text for one in _PASSING):
            self.complaints.append(message.text)

    def open(self, place: str = "", shown: str = "#main[aria-busy=false]") -> Page:
        """Go to a place of the page and return once it shows what it was asked for."""
        for attempt in range(ATTEMPTS):
            try:
                self.page.goto("about:blank")
                self.page.goto(f"{self.url}#/{place}")
                self.page.wait_for_selector(shown, timeout=PATIENCE / (ATTEMPTS - attempt))
                return self.page
            except Error:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def says(self, text: str, inside: str = "#main") -> None:
        """Return once ``text`` is to be read; what is hidden is not."""
        if inside == "#main":
            expect(self.page.locator(inside)).to_contain_text(text, use_inner_text=True, timeout=PATIENCE)
        else:
            self.page.locator(inside, has_text=text).first.wait_for()

    def units(self, name: str, value: float | None) -> str:
        """Return a figure as the page writes it."""
        return str(
            self.page.evaluate(
                "([name, value]) => import(new URL('web/page/units.js', document.baseURI))"
                ".then((units) => units[name](value))",
                [name, value],
            )
        )

    def row(self, table: str, first: str) -> list[str]:
        """Return the texts of the row of a table that begins with ``first``."""
        rows = self.page.get_by_role("table", name=table, exact=True).locator("tbody tr")
        return [text.strip() for text in rows.filter(has_text=first).first.locator("td").all_inner_texts()]

    def close(self) -> None:
        self.context.close()


def until(found: Any, what: str, seconds: float = PATIENCE / 1000) -> Any:
    """Return the first true value of ``found``."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.05)
    return value
