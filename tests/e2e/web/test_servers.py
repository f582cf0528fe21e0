"""A managed server on the page: begun in a form, its log as it is written, and ended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.collector.conftest import running
from tests.e2e.web.browser import Window


def test_a_server_is_started_followed_and_stopped(browser: Browser, tmp_path: Path) -> None:
    image = os.environ.get("MYSTIC_TEST_BASE_IMAGE", "")
    if not image:
        pytest.skip("MYSTIC_TEST_BASE_IMAGE names no image to run")
    with running(tmp_path, servers="docker") as collector:
        window = Window(browser, collector.url + "/")
        page = window.open("servers")
        page.get_by_role("button", name="Start a server").click()
        form = page.get_by_role("dialog")
        form.get_by_label("Template").select_option("")
        form.get_by_label("Name").fill("page-test")
        form.get_by_label("Type").select_option("docker")
        form.get_by_label("Image").fill(image)
        form.get_by_label("Arguments").fill("python -u -m http.server 8000")
        form.get_by_label("Transport").select_option("http")
        form.get_by_label("Port", exact=True).fill("8000")
        form.get_by_role("button", name="Start").click()
        servers = page.get_by_role("table", name="MCP servers")
        try:
            expect(servers).to_contain_text("running", timeout=60_000)
            expect(page.get_by_role("log")).to_contain_text("Serving HTTP")
            page.get_by_role("button", name="Stop page-test").click()
            page.get_by_role("dialog").get_by_role("button", name="Stop").click()
            window.says("No server runs.")
            assert collector.get("/api/mcp/servers")["count"] == 0
        finally:
            collector.client.delete("/api/mcp/servers/page-test")
            window.close()
