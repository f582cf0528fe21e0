"""Shared cache entries over each engine: bytes in, the same bytes out, bounded in size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mystic_collector.cache.embedded import EmbeddedEntries
from mystic_collector.cache.entries import Entries, Kept
from mystic_collector.cache.server import ServerEntries
from mystic_collector.store.protocol import StoreError

from .server import Server

SIZE = 4 * 2**20


@pytest.fixture(params=["disk", "server"])
def entries(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Entries]:
    if request.param == "disk":
        made: Entries = EmbeddedEntries(tmp_path / "cache", SIZE)
    else:
        made = ServerEntries(request.getfixturevalue("meet")(), SIZE)
    yield made
    made.close()


@pytest.mark.parametrize("value", [b"", b"4.5", bytes(range(256)) * 500, "été".encode()])
def test_what_is_put_comes_back_and_functions_do_not_mix(entries: Entries, value: bytes) -> None:
    entries.put("app:price", "tea", value, 60.0)
    entries.put("app:prices", "tea", b"other", None)
    found = entries.get("app:price", "tea")
    assert found is not None
    assert found.value == value
    assert found.expires_at == pytest.approx(time.time() + 60, abs=5)
    forever = entries.get("app:prices", "tea")
    assert forever is not None and forever.expires_at is None  # noqa: PT018
    assert entries.get("app:price", "coffee") is None
    assert entries.count() == 2
    assert entries.delete("app:price", "tea")
    assert not entries.delete("app:price", "tea")
    assert (entries.count(), entries.dropped) == (1, 0)


def test_the_size_is_bounded_the_oldest_go_and_a_giant_is_refused(entries: Entries) -> None:
    for n in range(400):
        entries.put("f", str(n % 300), bytes(40_000), None)
    assert 50 < entries.count() <= 120
    assert entries.get("f", "99") is not None
    assert entries.get("f", "100") is None
    with pytest.raises(ValueError, match="more than half"):
        entries.put("f", "giant", bytes(3 * 2**20), None)


def test_many_are_kept_and_found_at_once_as_far_as_they_fit(entries: Entries) -> None:
    entries.keep([Kept("f", str(n), bytes([n]) * 1000, 60.0) for n in range(20)])
    entries.keep([Kept("f", "giant", bytes(3 * 2**20), None), Kept("f", "last", b"x", None)])
    names = [("f", str(n)) for n in (3, 99, 5)]
    assert entries.find(names, 10_000) == [b"\3" * 1000, b"", b"\5" * 1000]
    assert entries.find(names, 1500) == [b"\3" * 1000, b"", b""]
    assert entries.find([("f", "giant"), ("f", "last")], 100) == [b"", b"x"]
    assert entries.find([], 100) == []


def test_an_entry_ends_with_its_time_to_live(entries: Entries) -> None:
    entries.put("f", "k", b"short", 0.05)
    deadline = time.monotonic() + 20
    while entries.get("f", "k") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert entries.find([("f", "k")], 100) == [b""]


def test_what_one_collector_keeps_another_finds_until_the_server_is_away(meet: Any, server: Server) -> None:
    one, other = ServerEntries(meet(), SIZE), ServerEntries(meet(), SIZE)
    stranger = ServerEntries(meet(prefix="somebody"), SIZE)
    one.put("f", "k", b"v", 60.0)
    assert (other.find([("f", "k")], 100), stranger.find([("f", "k")], 100)) == ([b"v"], [b""])
    server.kill()
    for ask in (lambda: other.get("f", "k"), lambda: other.find([("f", "k")], 9), lambda: one.put("f", "k", b"", None)):
        with pytest.raises(StoreError, match="does not answer"):
            ask()
