"""What the images weigh and may do, and what a collector takes when it has half a core and 512 MB."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import threading
import time
from collections.abc import Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ...collector.messages import START, duration, metrics, span, traces
from .engine import AGENT, COLLECTOR, docker, free_port, get, images, needed, until

SPANS_A_SECOND = 2_000
SECONDS = 12
BATCH = 100
MOST_OVER_BASE = 200 * 10**6


def size(image: str) -> int:
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def test_the_images_are_small_run_as_nobody_in_particular_and_carry_their_own_health_check() -> None:
    images()
    base = size(needed("MYSTIC_TEST_BASE_IMAGE", "image to build ours from"))
    weights = {image: size(image) - base for image in (COLLECTOR, AGENT)}
    print({image: f"{weight / 1e6:.0f} MB over the base" for image, weight in weights.items()})
    assert max(weights.values()) < MOST_OVER_BASE
    config = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", COLLECTOR))
    assert config["User"] not in ("", "0", "root", "0:0")
    assert config["Healthcheck"]["Test"] == ["CMD", "mystic", "health"]


@contextlib.contextmanager
def confined() -> Iterator[tuple[str, int]]:
    """Run the collector as the manifests do: half a core, 512 MB, a root it cannot write, no capabilities."""
    images()
    name, port = f"mystic-test-{secrets.token_hex(4)}", free_port()
    limits = ("--memory", "512m", "--memory-swap", "512m", "--cpus", "0.5")
    rights = ("--read-only", "--tmpfs", "/tmp:size=64m", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    published = ("--publish", f"127.0.0.1:{port}:8899", "--env", "MYSTIC_HOST=0.0.0.0", "--volume", f"{name}:/data")
    try:
        docker("run", "--detach", "--name", name, *limits, *rights, *published, COLLECTOR)
        until(lambda: get(port, "/health")[0] == 200, "the collector is up")
        yield name, port
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("volume", "rm", "--force", name, check=False)


def send(connection: http.client.HTTPConnection, path: str, message: object, over: threading.Event) -> int:
    """Send as an exporter does: again after 429, never otherwise; return how often it was asked to wait."""
    assert isinstance(message, ExportTraceServiceRequest | ExportMetricsServiceRequest)
    body, waits = message.SerializeToString(), 0
    while True:
        connection.request("POST", path, body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            return waits
        assert answer.status == 429, answer.status
        waits += 1
        over.wait(float(answer.headers["Retry-After"]))


def test_half_a_core_and_512_mb_take_2000_spans_a_second() -> None:
    over, waits, rounds = threading.Event(), 0, SPANS_A_SECOND * SECONDS // BATCH
    with confined() as (name, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        begin = time.monotonic()
        with contextlib.closing(connection):
            for number in range(rounds):
                spans = [span(f"app:f{one % 50}", error="ValueError: no" * (one % 10 == 0)) for one in range(BATCH)]
                over.wait(max(0.0, begin + number * BATCH / SPANS_A_SECOND - time.monotonic()))
                waits += send(connection, "/v1/traces", traces(*spans), over)
                if number % 20 == 0:
                    told = metrics(
                        *[duration(f"app:f{one}", {20: number + 1}, time=START + number) for one in range(50)]
                    )
                    waits += send(connection, "/v1/metrics", told, over)
        took = time.monotonic() - begin
        until(lambda: json.loads(get(port, "/api/status")[1])["store"]["spans"] == rounds * BATCH, "every span is kept")
        status = json.loads(get(port, "/api/status")[1])
        assert (status["ingest"]["lost"], status["ingest"]["waiting"]) == (0, 0)
        figures = json.loads(get(port, "/api/metrics?limit=100")[1])["functions"]
        last = (rounds - 1) // 20 * 20
        assert {one["call_count"] for one in figures} == {last + 1}
        assert len(figures) == 50
        state = json.loads(docker("inspect", "--format", "{{json .State}}", name))
        assert (state["OOMKilled"], state["Running"]) == (False, True)
        counter = (
            "cat /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null | head -n 1"
        )
        peak = int(docker("exec", name, "sh", "-c", counter) or 0)
        resident = docker("exec", name, "sh", "-c", "grep VmHWM /proc/1/status")
        print(
            f"{rounds * BATCH / took:.0f} spans/s, told to wait {waits} times; {resident}; {peak >> 20} MiB with files"
        )
