"""``mystic_aware`` marks and changes nothing; ``mystic_client`` keeps values exactly, and fails as if it kept none."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from mystic_agent import aware
from mystic_agent.integration import LONGEST_KEY, PAUSE, MysticClient, mystic_aware
from mystic_agent.settings import Settings


class Collector:
    """The part of a collector's interface that the client asks; entries in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.keys: list[str] = []
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.keys.append(self.headers.get("X-Mystic-Key", ""))
                known = self.path in outer.entries
                self.answer(outer.status if known else 404, {"value": outer.entries.get(self.path)})

            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.entries[self.path] = body["value"]
                self.answer(outer.status, {})

            def answer(self, status: int, value: Any) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def client(collector: Collector) -> Iterator[MysticClient]:
    made = MysticClient(Settings(port=collector.server.server_port, api_key="sesame"))
    yield made
    made.close()


@pytest.mark.parametrize("value", [{"a": (1, 1.0, True)}, b"\0bytes", {1, 2}, None, "text", [], {"": {"": 1}}])
def test_a_value_comes_back_exactly(client: MysticClient, value: object) -> None:
    assert client.set_cache_sync("f", "k", value)
    found = client.get_cache_sync("f", "k")
    assert found == value
    assert type(found) is type(value)
    assert asyncio.run(client.set_cache("f", "other", value, ttl="30m"))
    assert asyncio.run(client.get_cache("f", "other")) == value


def test_plain_json_of_others_is_read_and_the_key_is_sent(client: MysticClient, collector: Collector) -> None:
    collector.entries["/api/cache/f/k"] = {"a": [1, 2.5, None]}
    assert client.get_cache_sync("f", "k") == {"a": [1, 2.5, None]}
    assert collector.keys == ["sesame"]


@pytest.mark.parametrize("key", ["a/b", "x" * (LONGEST_KEY + 1), "new\nline", "", ".", "..", "ü ?&#%", "\ud800"])
def test_every_key_has_a_place_of_its_own(client: MysticClient, collector: Collector, key: str) -> None:
    assert client.set_cache_sync("m:f", key, 1)
    assert client.set_cache_sync("m:f", key + "!", 2)
    assert client.get_cache_sync("m:f", key) == 1
    assert len(collector.entries) == 2
    assert all(path.startswith("/api/cache/m%3Af/") and path.count("/") == 4 for path in collector.entries)


def test_what_cannot_be_kept_is_not(client: MysticClient, collector: Collector) -> None:
    assert client.set_cache_sync("f", "k", object()) is False
    assert client.get_cache_sync("f", "k") is None
    collector.status = 413
    assert client.set_cache_sync("f", "k", 1) is False
    collector.entries["/api/cache/f/odd"] = {"": ["no such kind"]}
    collector.status = 200
    assert client.get_cache_sync("f", "odd") is None


def test_a_collector_that_is_gone_is_left_in_peace_for_a_while() -> None:
    now = [0.0]
    asked = []

    def settings() -> Settings:
        return Settings(port=9)

    client = MysticClient(settings(), clock=lambda: now[0])
    client._connected = lambda: asked.append(1) or (_ for _ in ()).throw(ConnectionRefusedError())  # type: ignore
    for _ in range(3):
        assert client.get_cache_sync("f", "k") is None
    now[0] = PAUSE + 1
    assert client.set_cache_sync("f", "k", 1) is False
    assert len(asked) == 2


def test_a_client_that_is_switched_off_asks_nobody(client: MysticClient, collector: Collector) -> None:
    client.enabled = False
    assert asyncio.run(client.get_cache("f", "k")) is None
    assert asyncio.run(client.set_cache("f", "k", 1)) is False
    assert asyncio.run(client.check_hijack("f")) is None
    assert (collector.entries, collector.keys) == ({}, [])


def test_a_marked_function_is_the_same_object_and_unknown_options_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FUNCTIONS", "MODULES", "_waiting"):
        monkeypatch.setattr(aware, name, set())

    def plain() -> int:
        return 1

    async def later() -> int:
        return 2

    assert mystic_aware(plain) is plain
    assert mystic_aware()(later) is later
    with pytest.warns(UserWarning, match="ignores cache, mock"):
        assert mystic_aware(mock=1, cache=2)(plain) is plain
    wrapped = staticmethod(plain)
    assert mystic_aware(wrapped) is wrapped
    assert mystic_aware(3) == 3
    assert {qualname.rpartition(".")[2] for _, qualname in aware.FUNCTIONS} == {"plain", "later"}
    assert [one.__name__ for one in aware.waiting()] == [__name__]
    assert aware.waiting() == []
