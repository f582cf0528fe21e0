"""A full disk: nothing that was taken is lost when room comes in time, and what fails says why."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mystic_agent.contract.wire as wire
import pytest
from mystic_collector.cache.embedded import EmbeddedEntries
from mystic_collector.ingest.writer import Writer
from mystic_collector.store.protocol import StoreError

from tests.collector.conftest import PATIENCE, running, until
from tests.collector.messages import attributes, span, traces
from tests.collector.test_commands import Served

PROTOBUF = {"content-type": "application/x-protobuf"}
SPANS = 200


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, httpx.Client]]:
    """Run a collector as a process of its own; yield its pid and how to ask it."""
    found = Served(folder, MYSTIC_OWN_TRACES="false", MYSTIC_SERVERS="off")
    try:
        with httpx.Client(base_url=found.url, timeout=PATIENCE, trust_env=False) as client:
            yield found.process.pid, client
    finally:
        found.end(signal.SIGTERM)


def allow(pid: int, size: int) -> None:
    """Let a process write files up to ``size`` bytes: beyond it the kernel refuses, as it does on a full disk."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def send(client: httpx.Client) -> int:
    long = attributes(note="n" * 1_000)
    message = traces(*(span("m:f") for _ in range(SPANS)))
    for one in message.resource_spans[0].scope_spans[0].spans:
        one.attributes.extend(long)
        one.attributes[-1].value.string_value += os.urandom(500).hex()
    reply = client.post(wire.TRACES_PATH, content=message.SerializeToString(), headers=PROTOBUF)
    assert reply.status_code == 200
    return SPANS


def ingest(client: httpx.Client) -> Any:
    return client.get("/api/status").json()["ingest"]


def test_what_a_full_disk_has_no_room_for_waits_and_is_kept_once_there_is_room(tmp_path: Path) -> None:
    with served(tmp_path) as (pid, client):
        sent = send(client)
        until(lambda: ingest(client)["written"] == sent, "the first write")
        allow(pid, 64 * 1024)
        sent += send(client) + send(client)
        until(lambda: ingest(client)["waiting"] == 2 * SPANS, "what was taken waits")
        assert client.get("/health").status_code == 200
        refused = client.put("/api/cache/m:f/key", json={"value": "v" * 100_000})
        assert refused.status_code == 503
        assert "check disk space" in refused.json()["error"]["message"]
        assert list((tmp_path / ".mystic" / "data" / "cache").rglob("*.val")) == []
        allow(pid, resource.RLIM_INFINITY)
        until(lambda: ingest(client)["written"] == sent, "what waited is written")
        assert ingest(client)["lost"] == 0
        assert client.put("/api/cache/m:f/key", json={"value": "v" * 100_000}).status_code == 200


class Full:
    """A store without room."""

    def __init__(self) -> None:
        self.tried = threading.Semaphore(0)

    def write(self, batch: Any) -> None:
        self.tried.release()
        raise StoreError("the disk is full", passing=True)

    def retain(self, now: float) -> int:
        return 0


def test_a_writer_that_ends_does_not_wait_for_a_disk_that_stays_full(tmp_path: Path) -> None:
    with running(tmp_path) as collector:
        store, batches = Full(), []
        collector.parts.store.write = batches.extend  # what arrives, as the writer is given it
        collector.otlp(wire.TRACES_PATH, traces(span("m:f"), span("m:f")))
        collector.settle()
    writer = Writer(store, 2**20, again=PATIENCE)  # type: ignore[arg-type]  # of a store, only what a writer calls
    writer.start()
    assert writer.offer(batches)
    assert store.tried.acquire(timeout=PATIENCE)
    assert writer.stop(PATIENCE / 2)
    counts = writer.counts()
    assert (counts.lost, counts.waiting) == (2, 0)


def test_a_full_disk_is_logged_once_and_not_with_every_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path) as collector:
        store, batches = Full(), []
        collector.parts.store.write = batches.extend
        collector.otlp(wire.TRACES_PATH, traces(span("m:f")))
        collector.settle()
    writer = Writer(store, 2**20, again=0.01)  # type: ignore[arg-type]
    writer.start()
    assert writer.offer(batches)
    assert all(store.tried.acquire(timeout=PATIENCE) for _ in range(5))
    assert writer.stop(PATIENCE)
    told = [one.getMessage() for one in caplog.records if "the disk is full" in one.getMessage()]
    assert told == ["the disk is full (1 items wait, 0 are lost since the start)"]


def test_a_damaged_shared_cache_is_named_with_a_remedy(tmp_path: Path) -> None:
    EmbeddedEntries(tmp_path / "cache", 2**20).close()
    (tmp_path / "cache" / "cache.db").write_bytes(os.urandom(10_000))
    for left in (*(tmp_path / "cache").glob("cache.db-*"),):
        left.unlink()
    with pytest.raises(StoreError, match=r"shared cache in .* fails: .*; move it away or choose MYSTIC_DATA_DIR"):
        EmbeddedEntries(tmp_path / "cache", 2**20)
