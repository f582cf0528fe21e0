"""What the collector takes in: its own process on one core, another process that posts batches of 512 spans."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

from mystic_agent.otlp import encode_resource, encode_spans

from bench import encode
from bench.figure import Figure, Target
from bench.process import BESIDE, MEASURED, Served, pinned, serving
from bench.settings import PROJECT, clean

BATCHES = 400
ROUNDS = 3
LONGEST_SECONDS = 90
TITLE = f"Ingest into SQLite, batches of {encode.SPANS} spans over loopback"
RATE, P99 = Target(100_000, "spans/s", at_least=True), Target(50, "ms")


def figures() -> list[Figure]:
    """Measure; spans per second of the collector's own CPU time, by the clock, and how long a sender waits."""
    found: list[Figure] = []
    for name, packed in (("plain", False), ("gzip", True)):
        rounds = [_round(packed) for _ in range(ROUNDS)]

        def of(key: str, taken: list[dict[str, float]] = rounds) -> float:
            return median(one[key] for one in taken)

        judged = not packed
        held = f"{of('refused'):.0f} of {BATCHES} posts told to come again"
        found += [
            Figure(TITLE, f"{name}, per CPU-second", of("per_cpu"), "spans/s", RATE if judged else None),
            Figure(TITLE, f"{name}, by the clock until all is stored", of("per_second"), "spans/s", note=held),
            Figure(TITLE, f"{name}, p50 of a post", of("p50"), "ms"),
            Figure(TITLE, f"{name}, p99 of a post", of("p99"), "ms", P99 if judged else None),
        ]
    return found


def _round(packed: bool) -> dict[str, float]:
    env = clean() | {"PYTHONPATH": str(PROJECT / "tests")}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.collector", f"{folder}/data"]
        with serving(command, env, PROJECT, MEASURED) as collector:
            bodies = Path(folder, "bodies")
            _write(bodies, packed)
            cpu, began = collector.cpu_seconds(), time.monotonic()
            sent = _send(collector, bodies, packed, env)
            _stored(collector, BATCHES * encode.SPANS)
            elapsed, cpu = time.monotonic() - began - sent["began_after"], collector.cpu_seconds() - cpu
    spans = BATCHES * encode.SPANS
    return sent | {"per_cpu": spans / cpu, "per_second": spans / elapsed}


def _write(path: Path, packed: bool) -> None:
    """Write the bodies one after another, each behind its length; every batch has traces of its own."""
    resource = encode_resource(encode.RESOURCE)
    with path.open("wb") as out:
        for _ in range(BATCHES):
            body = encode_spans(resource, encode.records())
            body = gzip.compress(body, 1) if packed else body
            out.write(len(body).to_bytes(4, "big") + body)


def _send(collector: Served, bodies: Path, packed: bool, env: dict[str, str]) -> dict[str, float]:
    command = [*pinned(BESIDE), sys.executable, "-m", "bench.sender", str(collector.port), str(bodies)]
    command += ["gzip"] if packed else []
    done = subprocess.run(
        command, env=env, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True, timeout=LONGEST_SECONDS
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def _stored(collector: Served, spans: int) -> None:
    """Wait until the collector has written everything.

    Raises:
        RuntimeError: when it has not after LONGEST_SECONDS, or has lost some.
    """
    deadline = time.monotonic() + LONGEST_SECONDS
    counts: dict[str, Any] = {}
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{collector.port}/api/status", timeout=30) as reply:
            counts = json.load(reply)["ingest"]
        if counts["written"] >= spans:
            return
        time.sleep(0.02)
    raise RuntimeError(f"the collector has stored {counts} of {spans} spans")
