"""A real collector and the SDK's client, over a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collector.conftest import Running, running

SHOP = '''
def price(item, quantity=1):
    """Look a price up."""
    return quantity * 3


def tags(item):
    yield item
'''


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Running]:
    """A collector that knows of one process of the service shop, in development."""
    with running(tmp_path) as found:
        report(found, tmp_path)
        yield found


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(collector: Running, folder: Path, **more: Any) -> None:
    (folder / "project" / "shop.py").write_text(SHOP)
    functions = [
        {"function": "shop:price", "state": "attached", "kind": "function", "line": 2},
        {"function": "shop:tags", "state": "attached", "kind": "generator", "line": 7},
    ]
    collector.report("i1", functions, **{"stage": "development", **more})
