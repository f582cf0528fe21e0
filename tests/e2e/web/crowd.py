"""A collector that keeps five thousand functions and a hundred thousand spans."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.collector.messages import duration, metrics, span, traces
from tests.e2e.lab import BIN, PATIENCE, clean_environment, free_port, listens, running, until

FUNCTIONS, TRACES, SPANS = 5_000, 1_000, 100


def name(number: int) -> str:
    """Return the name of one of the functions."""
    return f"shop.module_{number % 50}:function_{number:04}"


class Crowded:
    """The collector, a process of its own as it is where it is used."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)

    def get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()

    def send(self, path: str, message: Any) -> None:
        headers = {"content-type": "application/x-protobuf"}
        self._client.post(path, content=message.SerializeToString(), headers=headers).raise_for_status()

    def has(self, spans: int) -> None:
        """Return once so many spans are written."""
        until(lambda: self.get("/api/status")["store"]["spans"] == spans, f"{spans} spans")

    def close(self) -> None:
        self._client.close()


@contextmanager
def crowd(folder: Path) -> Iterator[Crowded]:
    """Yield it, with everything written."""
    port = free_port()
    told = {"MYSTIC_PORT": str(port), "PROJECT_ROOT": str(folder), "MYSTIC_DATA_DIR": str(folder / "data")}
    environment = clean_environment(**told, MYSTIC_SERVERS="off")
    with running(BIN / "mystic", "serve", log=folder / "log.txt", cwd=folder, env=environment):
        until(lambda: listens(port), "the collector")
        found = Crowded(port)
        try:
            _fill(found)
            yield found
        finally:
            found.close()


def _fill(found: Crowded) -> None:
    found.send("/v1/metrics", metrics(*(duration(name(i), {20 + i % 5: i + 1}) for i in range(FUNCTIONS))))
    began = time.time_ns() - TRACES * 10**9
    for batch in range(TRACES // 20):
        spans = []
        for number in range(20):
            trace, at = secrets.token_bytes(16), began + (batch * 20 + number) * 10**9
            root = span(name(0), trace=trace, start=at, duration=10**8)
            inner = (
                span(name(i), trace=trace, parent=root.span_id, start=at + i * 10**6, duration=9 * 10**5)
                for i in range(1, SPANS)
            )
            spans += [root, *inner]
        found.send("/v1/traces", traces(*spans))
        found.has((batch + 1) * 20 * SPANS)
