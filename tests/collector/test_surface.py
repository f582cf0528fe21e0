"""The whole HTTP surface under attack: every route of the application, also those that come later."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from mystic_collector import openapi, reply
from mystic_collector.ingest.intake import Intake
from mystic_collector.otlp.refused import RefusedError
from starlette.routing import Route, WebSocketRoute

from .conftest import PATIENCE, Running, raw, running
from .test_commands import Served

KEY = "s3cret-key-0123456789"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MYSTIC")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("keyed"), api_key=KEY) as found:
        yield found


def operations(collector: Running) -> list[tuple[str, str]]:
    """Return (method, path) of everything the application answers."""
    routes = [one for one in collector.server.app.routes if not isinstance(one, WebSocketRoute)]
    assert all(isinstance(one, Route) for one in routes), "this list must know every kind of route there is"
    return [
        (method, re.sub(r"\{\w+(:path)?\}", "x", one.path))
        for one in routes
        if isinstance(one, Route)
        for method in sorted(one.methods or ())
    ]


def with_body(collector: Running) -> list[tuple[str, str]]:
    return [(method, path) for method, path in operations(collector) if method in ("POST", "PUT")]


def status(collector: Running, method: str, path: str, *headers: str) -> int:
    head = "\r\n".join((f"{method} {path} HTTP/1.1", *headers, "Connection: close", "", ""))
    return int(raw(collector.url, head.encode("latin-1")).split(b" ", 2)[1])


OPEN = {"/health": 200, "/": 200, "/web/x": 404, "/login": 422, "/logout": 200}
"""What anybody may ask for, and what is answered when nothing is sent."""


def test_every_route_asks_for_the_key_but_health_and_what_the_page_is_made_of(keyed: Running) -> None:
    asked = operations(keyed)
    assert ("POST", "/v1/traces") in asked
    assert ("GET", "/api/traces/x") in asked
    for method, path in asked:
        expected = OPEN.get(path, 401)
        for shown in ((), ("X-Mystic-Key: wrong",), ("Authorization: Bearer wrong",), (f"Cookie: key={KEY}",)):
            assert status(keyed, method, path, "Host: localhost", *shown) == expected, (method, path, shown)
        assert status(keyed, method, f"{path}?key={KEY}", "Host: localhost") == expected, (method, path)


def test_no_spelling_of_a_path_goes_round_the_key(keyed: Running) -> None:
    for path in (
        "/health/../api/status",
        "//health",
        "/health/",
        "/Health",
        "/api/status/",
        "/%68ealth/%2e%2e/api/status",
        "/health%00",
        "/api/status#/health",
        "/health;/api/status",
        "http://localhost/health/../api/status",
    ):
        assert status(keyed, "GET", path, "Host: localhost") in (400, 401), path


def test_every_route_refuses_foreign_hosts_and_pages(shared: Running) -> None:
    for method, path in operations(shared):
        assert status(shared, method, path, "Host: evil.example") == 421, (method, path)
        for origin in ("http://evil.example", "null"):
            assert status(shared, method, path, "Host: localhost", f"Origin: {origin}") == 403, (method, path)


def test_every_route_refuses_the_methods_it_does_not_have(shared: Running) -> None:
    known = set(operations(shared))
    for path in {path for _, path in known}:
        for method in METHODS:
            if (method, path) not in known:
                found = status(shared, method, path, "Host: localhost", "Content-Length: 0")
                # Of two routes that fit, the first decides: /api/functions/hijack is no function's name.
                assert found == 405, (method, path)


def test_every_body_is_bounded_as_announced_as_sent_and_after_decompression(start: Callable[..., Any]) -> None:
    limit = 2**20
    bomb = gzip.compress(b" " * (limit + 1))
    too_much = b" " * (limit + 1)
    with start(max_body_bytes=limit, max_inflated_bytes=limit) as collector:
        for method, path in with_body(collector):
            kind = "Content-Type: application/json"
            announced = status(collector, method, path, "Host: localhost", kind, "Content-Length: 99999999999")
            assert announced == 413, (method, path)

            def chunks() -> Iterator[bytes]:
                yield too_much

            headers = {"content-type": "application/json"}
            for content, encoding in ((chunks(), ""), (bomb, "gzip")):
                more = {"content-encoding": encoding} if encoding else {}
                sent = collector.client.request(method, path, content=content, headers={**headers, **more})
                assert sent.status_code == 413, (method, path, encoding)
            unknown = collector.client.request(
                method, path, content=b"{}", headers={**headers, "content-encoding": "br"}
            )
            assert unknown.status_code == 415, (method, path)


@pytest.mark.parametrize("depth", [41, 300, 10_000])
def test_no_body_is_nested_so_deeply_that_anything_breaks(shared: Running, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    for method, path in with_body(shared):
        for body in (deep, f'{{"a":{deep}}}', '{"a":' * depth + "1" + "}" * depth):
            sent = shared.client.request(method, path, content=body, headers={"content-type": "application/json"})
            # OTLP lets be what it does not know, up to the depth that its reader bears.
            borne = {200, 400} if path.startswith("/v1/") and depth < 1000 else {400}
            assert sent.status_code in borne, (method, path, sent.text)
    for path in ("/health", "/api/status", "/api/hijacks"):
        assert shared.client.get(path).status_code == 200


def test_what_a_process_says_of_itself_is_bounded(shared: Running) -> None:
    body = {"instance": "i", "service": "s", "stage": "p", "pid": 1, "version": 0, "functions": []}
    sent = shared.client.post("/agent/v1/report", json={**body, "status": {"x": "y" * 100_000}})
    assert (sent.status_code, sent.json()["error"]["field"]) == (422, "status")
    assert shared.get("/api/status")["processes"] == []


VALUES = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**63 - 1)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(alphabet=some.characters(codec="utf-8"), max_size=20)
    | some.sampled_from(["app:f", "observe", "cache", "*", "1h", "shop"]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted(
    {name for one in openapi.OPERATIONS for name in (one.body or {}).get("properties", {})}
    | {"instance", "version", "functions", "status", "complete", "pid", "resourceSpans"}
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=some.dictionaries(some.sampled_from(NAMES), VALUES, max_size=6))
def test_no_json_whatsoever_makes_a_route_fail(shared: Running, body: dict[str, Any]) -> None:
    for method, path in with_body(shared):
        sent = shared.client.request(method, path, json=body)
        assert sent.status_code < 500, (method, path, body, sent.text)


@pytest.mark.parametrize(
    "name",
    [
        "../../outside:secret",
        "../outside:secret",
        "..outside:secret",
        "/etc/passwd:root",
        "project/../outside:secret",
        "outside:secret",
        "%2e%2e/outside:secret",
        "link.outside:secret",
        "link:secret",
        "*:secret",
        "a\x00b:secret",
    ],
)
def test_inspection_never_leaves_the_project(shared: Running, name: str) -> None:
    root = shared.parts.settings.project_root
    (root.parent / "outside.py").write_text("def secret():\n    return 'canary'\n")
    with contextlib.suppress(FileExistsError):
        (root / "link").symlink_to(root.parent)
        (root / "link.py").symlink_to(root.parent / "outside.py")
    found = shared.client.post("/api/functions/inspect", json={"function": name})
    assert found.status_code == 422
    assert "canary" not in found.text


def test_no_secret_is_in_any_log_line_at_the_finest_level(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    served = Served(tmp_path, LOG_LEVEL="DEBUG", MYSTIC_API_KEY_FILE=str(tmp_path / "key"))
    secrets = [KEY, "wr0ng-key-987", "p4ssw0rd-canary"]
    with httpx.Client(base_url=served.url, timeout=PATIENCE, trust_env=False) as client:
        paths = client.get("/openapi.json", headers={"X-Mystic-Key": KEY}).json()["paths"]
        for path, methods in paths.items():
            for method in methods:
                for headers in (
                    {"X-Mystic-Key": KEY},
                    {"Authorization": f"Bearer {KEY}"},
                    {"X-Mystic-Key": secrets[1]},
                ):
                    if path not in ("/agent/v1/hijacks", "/api/live"):  # they stay open
                        client.request(
                            method, f"{path}?q={secrets[2]}", headers=headers, content=f'{{"function":"{secrets[2]}"}}'
                        )
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nX-Mystic-Key {KEY}\r\n\r\n".encode())  # not HTTP
        assert connection.recv(100)
    assert served.end(signal.SIGTERM) == 0
    said = served.said()
    assert "listening on" in said
    for secret in secrets:
        assert secret not in said


def opened(collector: Running) -> socket.socket:
    host, port = collector.server.address
    return socket.create_connection((host, port), PATIENCE)


def ended(connection: socket.socket) -> bool:
    """True when the collector has closed; waits until it has."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_a_head_that_does_not_arrive_in_time_is_not_waited_for(start: Callable[..., Any]) -> None:
    with start(head_timeout=0.5) as collector, contextlib.ExitStack() as stack:
        silent, slow, second = (stack.enter_context(opened(collector)) for _ in range(3))
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: local")
        second.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in second.recv(65536)
        second.sendall(b"GET /health HTTP/1.1\r\n")
        refused = stack.enter_context(opened(collector))
        refused.sendall(b"POST /api/init HTTP/1.1\r\nHost: evil\r\nContent-Length: 1000000\r\n\r\n")
        assert b"421" in refused.recv(65536)
        refused.sendall(b"x")  # and then nothing more of the million
        assert all(ended(one) for one in (silent, slow, second, refused))
        assert collector.get("/health")["status"] == "ok"


def test_a_connection_in_use_outlives_the_time_for_a_head(start: Callable[..., Any]) -> None:
    with start(head_timeout=0.2) as collector, collector.stream() as events:
        assert next(events)[1]["version"] == 0
        with opened(collector) as slow:
            slow.sendall(b"G")
            assert ended(slow)  # so the time has passed for a connection younger than the stream
        collector.post("/api/hijacks", {"target": "app:f", "stages": ["observe"]}, 201)
        assert next(events)[1]["version"] == 1


def test_health_answers_beside_ever_more_slow_clients_of_which_the_oldest_go(start: Callable[..., Any]) -> None:
    with start(max_waiting=50) as collector, contextlib.ExitStack() as stack:
        slow = []
        for _ in range(120):
            slow.append(stack.enter_context(opened(collector)))
            slow[-1].sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        with opened(collector) as one:
            one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b"200 OK" in one.recv(65536)
        assert all(ended(one) for one in slow[:60])
        slow[-1].sendall(b"1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in slow[-1].recv(65536)


def test_a_body_that_never_comes_is_given_up(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "PATIENCE", 0.2)
    with start(body_timeout=0.2) as collector:
        for method, path in with_body(collector):
            head = ("Host: localhost", "Content-Length: 5", "Content-Type: application/json")
            assert status(collector, method, path, *head) == 408, (method, path)


def test_bodies_taken_in_at_a_time_are_bounded_together() -> None:
    held: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            held.append(intake.held)

    intake = Intake(app, most_bytes=100)

    async def attack() -> None:
        gate = asyncio.Event()

        async def slow() -> dict[str, Any]:
            if held:
                await gate.wait()
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.request", "body": b"x" * 70, "more_body": True}

        async def quick() -> dict[str, Any]:
            return {"type": "http.request", "body": b"y" * 40, "more_body": False}

        async def send(message: Any) -> None:
            raise AssertionError(message)

        scope = {"type": "http", "method": "POST"}
        first = asyncio.create_task(intake(scope, slow, send))
        while not held:
            await asyncio.sleep(0)
        with pytest.raises(RefusedError) as refused:
            await intake(scope, quick, send)
        assert (refused.value.status, intake.held) == (429, 70)
        gate.set()
        await first
        await intake(scope, quick, send)
        assert intake.held == 0

    asyncio.run(attack())
