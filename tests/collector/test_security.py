"""Who may speak to the collector."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import Running, raw

KEY = "s3cret-key-0123456789"


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from .conftest import running

    with running(tmp_path_factory.mktemp("all"), host="0.0.0.0", allowed_hosts=("mystic",)) as found:
        found.url = f"http://127.0.0.1:{found.server.address[1]}"
        yield found


def ask(collector: Running, *headers: str, method: str = "GET", path: str = "/api/status") -> int:
    head = "\r\n".join((f"{method} {path} HTTP/1.1", *headers, "Connection: close", "", ""))
    answer = raw(collector.url, head.encode("latin-1"))
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8899", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8899", 200),
        ("mystic:8899", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:8899", 421),
        ("localhost@evil.example", 421),
        ("evil.example@localhost", 421),
        ("127.0.0.1.nip.io", 421),
        ("localhost:8899:evil", 421),
        ("10.0.0.5", 421),
        ("", 421),
    ],
)
def test_a_rebound_host_is_misdirected_also_when_all_addresses_are_bound(
    open_to_all: Running, host: str, status: int
) -> None:
    assert ask(open_to_all, f"Host: {host}") == status


def test_the_names_and_addresses_the_machine_itself_goes_by_are_no_rebinding(open_to_all: Running) -> None:
    assert ask(open_to_all, f"Host: {socket.gethostname()}:8899") == 200
    port = open_to_all.server.address[1]
    for own in ("127.0.0.2", "127.8.8.8"):
        with socket.create_connection((own, port), timeout=10) as connection:
            connection.sendall(f"GET /health HTTP/1.1\r\nHost: {own}:{port}\r\nConnection: close\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert ask(open_to_all, f"Host: {own}", path="/health") == 421, "it came to another address"


@pytest.mark.parametrize("path", ["/health", "/v1/traces", "/api/hijacks", "/agent/v1/hijacks", "/openapi.json", "/no"])
def test_no_path_is_open_to_a_foreign_host_or_page(open_to_all: Running, path: str) -> None:
    assert ask(open_to_all, "Host: evil.example", path=path) == 421
    assert ask(open_to_all, "Host: localhost", "Origin: http://evil.example", path=path) == 403


def test_foreign_pages_are_refused_and_the_own_one_is_not(open_to_all: Running) -> None:
    for origin in (
        "http://evil.example",
        "null",
        "http://localhost:3000",
        "https://localhost:8899",
        "http://localhost",
    ):
        assert ask(open_to_all, "Host: localhost:8899", f"Origin: {origin}") == 403
    assert ask(open_to_all, "Host: localhost:8899", "Origin: http://localhost:8899") == 200


def test_an_origin_can_be_allowed(start: Callable[..., Any]) -> None:
    with start(allowed_origins=("https://dash.example",)) as collector:
        assert ask(collector, "Host: localhost", "Origin: https://dash.example") == 200


def test_refusal_comes_before_the_body_is_read(start: Callable[..., Any]) -> None:
    with start(api_key=KEY) as collector:
        # Of the body that is announced, nothing is sent: an answer shows that nobody waited for it.
        long = ("Content-Length: 1000000", "Content-Type: application/x-protobuf")
        for headers, status in (
            (("Host: evil.example",), 421),
            (("Host: localhost", "Origin: http://evil.example"), 403),
            (("Host: localhost",), 401),
        ):
            assert ask(collector, *headers, *long, method="POST", path="/v1/traces") == status


def test_a_key_is_asked_for_everywhere_but_at_health(start: Callable[..., Any]) -> None:
    with start(api_key=KEY) as collector:
        assert ask(collector, "Host: localhost", path="/health") == 200
        for path in ("/api/status", "/v1/traces", "/agent/v1/hijacks", "/openapi.json", "/nothing"):
            assert ask(collector, "Host: localhost", path=path) == 401
            assert ask(collector, "Host: localhost", "X-Mystic-Key: wrong", path=path) == 401
        for wrong in (f"Authorization: Basic {KEY}", "X-Mystic-Key: ", f"X-Mystic-Key: {KEY}x", "X-Mystic-Key: \xe9"):
            assert ask(collector, "Host: localhost", wrong) == 401
        assert ask(collector, "Host: localhost", f"X-Mystic-Key: {KEY}") == 200
        assert ask(collector, "Host: localhost", f"Authorization: Bearer {KEY}") == 200


def test_a_key_is_never_shown_or_logged(start: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), start(api_key=KEY) as collector:
        wrong = "wr0ng-key-987"
        for key in (KEY, wrong):
            reply = collector.client.get("/api/status", headers={"X-Mystic-Key": key})
            assert key not in reply.text
            assert key not in str(reply.headers)
        assert KEY not in repr(collector.server.parts.settings)
        assert collector.client.get("/api/status").headers["www-authenticate"] == "Bearer"
    ours = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith(("mystic", "uvicorn")))
    assert KEY not in ours
    assert wrong not in ours


def test_two_collectors_never_share_a_data_directory(start: Callable[..., Any]) -> None:
    from mystic_collector.store.protocol import StoreError

    with start(), pytest.raises(StoreError, match="another collector uses"), start():
        raise AssertionError("two run")
    with contextlib.closing(start().gen) as again:  # and it is free again afterwards
        next(again)
