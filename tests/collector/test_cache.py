"""Shared cache entries: bytes in, the same bytes out; nothing planted is ever run or read from elsewhere."""

from __future__ import annotations

import pickle
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mystic_collector.cache.embedded import EmbeddedEntries

from tests.collector.conftest import Running, running


@pytest.fixture
def entries(tmp_path):
    made = EmbeddedEntries(tmp_path / "cache", 4 * 2**20)
    yield made
    made.close()


def test_what_is_put_comes_back_and_functions_do_not_mix(entries):
    entries.put("app:price", "tea", b"4.5", 60.0)
    entries.put("app:prices", "tea", b"other", None)
    assert entries.get("app:price", "tea").value == b"4.5"
    assert entries.get("app:price", "tea").expires_at is not None
    assert entries.get("app:prices", "tea").expires_at is None
    assert entries.get("app:price", "coffee") is None
    assert entries.delete("app:price", "tea")
    assert not entries.delete("app:price", "tea")
    assert entries.count() == 1


@given(value=st.binary(max_size=200_000))
def test_any_bytes_survive_a_restart(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("cache")
    first = EmbeddedEntries(folder, 4 * 2**20)
    first.put("f", "k", value, None)
    first.close()
    second = EmbeddedEntries(folder, 4 * 2**20)
    assert second.get("f", "k").value == value
    second.close()


def test_the_size_is_bounded_and_a_giant_is_refused(entries):
    for n in range(400):
        entries.put("f", str(n), bytes(40_000), None)
    assert entries.count() < 400
    assert entries.get("f", "399") is not None
    with pytest.raises(ValueError, match="more than half"):
        entries.put("f", "giant", bytes(3 * 2**20), None)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a planted pickle was run",))


@pytest.mark.parametrize(
    ("column", "planted"),
    [
        ("mode = 4, value", sqlite3.Binary(pickle.dumps(Bomb()))),
        ("mode = 2, value = NULL, filename", "../../outside.txt"),
        ("mode = 3, value = NULL, filename", "../../outside.txt"),
        ("mode = 1, value", "text where bytes belong"),
    ],
)
def test_a_planted_entry_is_dropped_and_counted_never_run_or_read_from_elsewhere(tmp_path, entries, column, planted):
    (tmp_path / "outside.txt").write_text("secret")
    entries.put("f", "k", b"mine", None)
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as database:
        database.execute(f"UPDATE Cache SET {column} = ?", (planted,))
    database.close()
    assert entries.get("f", "k") is None
    assert entries.dropped == 1
    assert entries.count() == 0


def test_the_api_keeps_serves_and_forgets_one_entry(collector: Running) -> None:
    path = "/api/cache/app.ocr:process/page/1"
    assert collector.client.get(path).status_code == 404
    put = collector.client.put(path, json={"value": {"text": "été", "n": [1, None]}, "ttl": "30m"})
    assert put.json()["ttl"] == 1800.0
    found = collector.get(path)
    assert (found["function"], found["key"], found["value"]) == (
        "app.ocr:process",
        "page/1",
        {"text": "été", "n": [1, None]},
    )
    assert collector.client.delete(path).json()["removed"]
    assert collector.client.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [({"ttl": "soon", "value": 1}, "ttl"), ({}, "value"), ({"value": 1, "forever": True}, "forever")],
)
def test_a_bad_entry_is_refused_by_its_field(collector: Running, body, field) -> None:
    refused = collector.client.put("/api/cache/f/k", json=body)
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, field)


def test_entries_outlive_a_restart_of_the_collector(tmp_path) -> None:
    with running(tmp_path) as first:
        assert first.client.put("/api/cache/f/k", json={"value": 7}).status_code == 200
    with running(tmp_path) as second:
        assert second.get("/api/cache/f/k")["value"] == 7
