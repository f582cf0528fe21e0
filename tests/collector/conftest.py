"""A real collector on a loopback port, and agents played over plain HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mystic_collector.engine import Engine
from mystic_collector.server import CollectorServer
from mystic_collector.settings import Settings
from mystic_collector.store.clickhouse.store import ClickHouseStore
from mystic_collector.store.protocol import Store
from mystic_collector.store.sqlite import SqliteStore

from .clickhouse import database, engines

PATIENCE = 20.0
NOW = 1_800_000_000.0


class Running:
    """One collector, served by a thread of this process."""

    def __init__(self, server: CollectorServer) -> None:
        self.server = server
        self.parts = server.parts
        self.url = "http://{}:{}".format(*server.address)
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)

    def get(self, path: str, **query: Any) -> Any:
        reply = self.client.get(path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        reply = self.client.post(path, json=body)
        assert reply.status_code == status, reply.text
        return reply.json()

    def otlp(self, path: str, message: Any) -> httpx.Response:
        headers = {"content-type": "application/x-protobuf"}
        return self.client.post(path, content=message.SerializeToString(), headers=headers)

    def settle(self) -> None:
        assert self.parts.writer.drain(PATIENCE)

    def report(self, instance: str, functions: list[dict[str, Any]], **more: Any) -> Any:
        body = {
            "instance": instance,
            "service": "shop",
            "stage": "production",
            "pid": 7,
            "version": 0,
            "complete": True,
            "functions": functions,
            "status": {},
            **more,
        }
        return self.post("/agent/v1/report", body)

    @contextmanager
    def stream(self, service: str = "shop", instance: str = "i1") -> Iterator[Iterator[tuple[str, Any]]]:
        """Yield an iterator of (kind, data): ("hijacks", {...}) for events, ("comment", text) for comments."""
        query = {"service": service, "instance": instance, "stage": "production"}
        with httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False) as client:
            with client.stream("GET", "/agent/v1/hijacks", params=query) as reply:
                assert reply.status_code == 200
                assert reply.headers["content-type"].startswith("text/event-stream")
                yield _events(reply.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    kind, data, number = "", None, ""
    for line in lines:
        if line.startswith(":"):
            yield "comment", line[1:].strip()
        elif line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("id: "):
            number = line[4:]
        elif line.startswith("data: "):
            data = json.loads(line[6:])
        elif not line and data is not None:
            assert number == str(data["version"])
            yield kind, data
            kind, data = "", None


@contextmanager
def running(folder: Path, **changes: Any) -> Iterator[Running]:
    """Run a collector whose data lie in ``folder / "data"`` and whose project is ``folder / "project"``."""
    project = folder / "project"
    project.mkdir(exist_ok=True)
    settings = Settings(**{"port": 0, "project_root": project, "data_dir": folder / "data", **changes})
    server = CollectorServer(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.ready.wait(PATIENCE)
        found = Running(server)
        with found.client:
            yield found
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One collector for the tests of a module that leave nothing behind that another could mind."""
    with running(tmp_path_factory.mktemp("shared")) as found:
        yield found


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One ClickHouse for all tests of this process; each takes a database of its own."""
    with engines(tmp_path_factory.mktemp("clickhouse")) as found:
        yield found


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "clickhouse"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_store(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> Iterator[Callable[..., Store]]:
    opened: list[Any] = []
    with contextlib.ExitStack() as undo:
        if kind == "clickhouse":
            place = undo.enter_context(database(request.getfixturevalue("clickhouse")))

        def open_one(**limits: Any) -> Store:
            for one in opened:
                one.close()
            opened.append(
                SqliteStore(tmp_path / "t.db", clock=clock, **limits)
                if kind == "sqlite"
                else ClickHouseStore(place, clock=clock, **limits)
            )
            return opened[-1]

        yield open_one
        for one in opened:
            one.close()


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    return lambda **changes: running(tmp_path, **changes)


def until(found: Callable[[], Any], what: str = "it") -> Any:
    """Return the first true result of ``found``; fail after a bounded wait."""
    deadline = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
    return result


def raw(url: str, data: bytes) -> bytes:
    """Send bytes to a collector and return all it answers until it closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer
