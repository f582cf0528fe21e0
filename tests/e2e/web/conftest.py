"""A browser, a collector and a service with traffic, for all tests of the page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.web.browser import Window, chromium
from tests.e2e.web.market import Market

_loops: list[asyncio.AbstractEventLoop | None] = []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found
        _resume()


@pytest.fixture(autouse=True)
def loop_of_the_browser() -> Iterator[None]:
    """Playwright's loop counts as running while the browser lives; other tests here run loops of their own."""
    _resume()
    yield
    _loops[:] = [asyncio._get_running_loop()]
    asyncio._set_running_loop(None)


def _resume() -> None:
    if _loops:
        asyncio._set_running_loop(_loops[0])


@pytest.fixture(scope="session")
def market(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """The service, which has been called; only asked for where there is a browser."""
    with contextlib.ExitStack() as stack:
        yield Market(tmp_path_factory.mktemp("market"), stack)


@pytest.fixture
def window(browser: Browser, market: Market) -> Iterator[Window]:
    market.release_all()
    found = Window(browser, market.url)
    yield found
    found.close()
    assert not found.complaints, found.complaints
