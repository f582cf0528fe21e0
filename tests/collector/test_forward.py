"""OTLP sent on: to receivers that are there, away, slow, choosy, or ourselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from mystic_agent.contract import wire
from mystic_agent.contract.errors import Invalid
from mystic_collector.destination import Destination, read_destinations
from mystic_collector.forward.answer import LATER, NEVER, TAKEN, judge
from mystic_collector.forward.forward import Forward
from mystic_collector.forward.queue import Message, Queue
from mystic_collector.forward.sender import Pace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from .conftest import PATIENCE, Running, running, until
from .messages import attributes, duration, log, logs, metrics, span, traces
from .receivers import Reply, Request, free_port, scripted, tapping

QUICK = Pace(0.01, 0.05)


def forwarded(collector: Running) -> dict[str, Any]:
    [found] = collector.get("/api/status")["forward"]
    assert isinstance(found, dict)
    return found


def span_ids(requests: list[Request]) -> list[bytes]:
    read = [ExportTraceServiceRequest.FromString(one.body) for one in requests if one.path == "/v1/traces"]
    return [s.span_id for one in read for group in one.resource_spans for sc in group.scope_spans for s in sc.spans]


def message(*spans: Any) -> Message:
    return Message("traces", traces(*spans).SerializeToString(), len(spans))


def test_two_receivers_of_others_get_every_signal_as_it_came(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    root = span("app:root", duration=5_000_000)
    child = span("app:child", trace=root.trace_id, parent=root.span_id, error="ValueError: no such page")
    child.attributes.extend(attributes(note="ümlaut"))
    to = tuple(Destination(f"http://127.0.0.1:{port}", compression="none") for port in ports)
    with tapping(ports[0]) as one, tapping(ports[1]) as other, running(tmp_path, forward=to) as collector:
        assert collector.otlp(wire.TRACES_PATH, traces(root, child)).status_code == 200
        assert collector.otlp(wire.METRICS_PATH, metrics(duration("app:root", {20: 3}))).status_code == 200
        assert collector.otlp(wire.LOGS_PATH, logs(log("hello", event="told", function="app:root"))).status_code == 200
        for tap in (one, other):
            until(lambda tap=tap: len(tap.spans) == 2 and tap.metrics and tap.logs, "all of it")
            assert sorted(tap.spans, key=lambda s: s.name) == [child, root]
            assert child.parent_span_id == root.span_id
            [points] = [m.exponential_histogram.data_points for m in tap.metrics if m.name == wire.DURATION]
            assert points[0].count == 3
            assert (tap.logs[0].body.string_value, tap.logs[0].event_name) == ("hello", "told")
        collector.settle()
        assert collector.get(f"/api/traces/{root.trace_id.hex()}")["span_count"] == 2


def test_json_becomes_protobuf_on_the_way_and_a_receiver_may_want_one_signal_only(tmp_path: Path) -> None:
    body = {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {"spans": [{"traceId": "a1" * 16, "spanId": "b2" * 8, "name": "n", "endTimeUnixNano": "5"}]}
                ]
            }
        ]
    }
    with scripted() as receiver:
        to = (Destination(receiver.url, frozenset(["traces"])),)
        with running(tmp_path, forward=to) as collector:
            assert collector.otlp(wire.METRICS_PATH, metrics(duration("app:root", {20: 3}))).status_code == 200
            assert collector.client.post(wire.TRACES_PATH, json=body).status_code == 200
            until(lambda: forwarded(collector)["sent"] == 1, "the span")
        assert [one.path for one in receiver.requests] == ["/v1/traces"]
        assert span_ids(receiver.requests) == [b"\xb2" * 8]
        assert receiver.requests[0].headers["content-type"] == "application/x-protobuf"


def test_a_collector_killed_and_restarted_while_the_receiver_is_away_loses_and_doubles_nothing(tmp_path: Path) -> None:
    port, kept = free_port(), 40
    sent = [span(f"app:f{number}") for number in range(2 * kept)]
    to = (Destination(f"http://127.0.0.1:{port}", compression="none"),)
    serve = [sys.executable, "-m", "mystic_agent.cli", "serve", "--port", str(collected := free_port())]
    (tmp_path / "project").mkdir()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "OTEL_"))},
        "PROJECT_ROOT": str(tmp_path / "project"),
        "MYSTIC_DATA_DIR": str(tmp_path / "data"),
        "MYSTIC_FORWARD": to[0].url,
    }

    with (
        open(tmp_path / "log", "wb") as written,
        httpx.Client(base_url=f"http://127.0.0.1:{collected}", trust_env=False, timeout=PATIENCE) as client,
    ):
        process = subprocess.Popen(serve, env=env, stdout=written, stderr=written, cwd=tmp_path)

        def status() -> Any:
            with contextlib.suppress(httpx.TransportError):
                return client.get("/api/status").json()

        try:
            until(status, "the collector")
            for one in sent[:kept]:
                headers = {"content-type": "application/x-protobuf"}
                assert client.post("/v1/traces", content=traces(one).SerializeToString(), headers=headers).is_success
            until(lambda: status()["forward"][0]["waiting"] == kept, "all on disk")
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait(PATIENCE)
    with running(tmp_path, forward=to) as collector:
        for one in sent[kept:]:
            assert collector.otlp(wire.TRACES_PATH, traces(one)).status_code == 200
        until(lambda: forwarded(collector)["waiting"] == 2 * kept, "all on disk")
        assert "cannot be reached" in until(lambda: forwarded(collector)["trouble"], "trouble told")
    with tapping(port) as tap, running(tmp_path, forward=to) as collector:
        until(lambda: forwarded(collector)["sent"] == 2 * kept, "all sent on")
        until(lambda: len(tap.spans) >= 2 * kept, "all received")
        assert Counter(one.span_id for one in tap.spans) == Counter(one.span_id for one in sent)
        told = forwarded(collector)
        assert (told["waiting"], sum(told["dropped"].values()), told["trouble"]) == (0, 0, "")


def test_what_a_receiver_refuses_is_singled_out_and_counted_and_the_rest_arrives(tmp_path: Path) -> None:
    good, bad = [span(f"app:good{number}") for number in range(6)], span("app:bad")

    def answer(request: Request) -> Reply:
        return (400 if b"app:bad" in request.body else 200), {}, b""

    with scripted(answer) as receiver:
        forward = Forward(tmp_path, (Destination(receiver.url),), pace=QUICK)
        for one in (*good[:3], bad, *good[3:]):
            forward.offer(*message(one))
        forward.start()
        until(lambda: not forward.counts()[0].waiting and not forward._coming, "all dealt with")
        forward.stop()
        [told] = forward.counts()
        forward.close()
    taken = span_ids([one for one in receiver.requests if b"app:bad" not in one.body])
    assert sorted(taken) == sorted(one.span_id for one in good)
    assert (told.sent, told.dropped["refused"]) == (6, 1)


def test_a_receiver_that_cannot_read_gzip_is_found_out_and_sent_to_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port, sent = free_port(), [span(f"app:f{number}") for number in range(3)]
    with tapping(port) as tap:
        forward = Forward(tmp_path, (Destination(f"http://127.0.0.1:{port}", compression="gzip"),), pace=QUICK)
        forward.start()
        for one in sent:
            forward.offer(*message(one))
        until(lambda: len(tap.spans) == 3, "all of it")
        until(lambda: not forward.counts()[0].waiting, "nothing waits")
        forward.stop()
        [told] = forward.counts()
        forward.close()
    assert (told.sent, sum(told.dropped.values()), told.trouble) == (3, 0, "")
    [said] = [one.getMessage() for one in caplog.records if "gzip" in one.getMessage()]
    assert "MYSTIC_FORWARD_COMPRESSION=none" in said


def test_one_that_reads_gzip_is_not_doubted_for_a_request_that_it_refuses(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        return (400 if b"app:bad" in request.body else 200), {}, b""

    with scripted(answer) as receiver:
        forward = Forward(tmp_path, (Destination(receiver.url),), pace=QUICK)
        forward.start()
        for name in ("app:bad", "app:good", "app:bad", "app:good"):
            forward.offer(*message(span(name)))
            until(lambda: not forward.counts()[0].waiting and not forward._coming, "it is dealt with")
        forward.stop()
        [told] = forward.counts()
        forward.close()
    assert (told.sent, told.dropped["refused"]) == (2, 2)
    # Only the first, of which it was not known what was wrong with it, came a second time.
    packed = [one.headers.get("content-encoding", "") for one in receiver.requests]
    assert packed == ["gzip", "", "gzip", "gzip", "gzip"]


def test_headers_compression_and_retries_are_as_the_protocol_has_them(tmp_path: Path) -> None:
    answers = iter([(503, {"Retry-After": "0"}, b""), (429, {}, b""), (502, {}, b"x" * 10**6)])
    partly = ExportTraceServiceResponse()
    partly.partial_success.rejected_spans = 1

    def answer(request: Request) -> Reply:
        return next(answers, (200, {}, partly.SerializeToString()))

    with scripted(answer) as receiver:
        to = (Destination(receiver.url + "/base", headers={"Authorization": "Bearer s3cret"}),)
        forward = Forward(tmp_path, to, pace=QUICK)
        forward.start()
        forward.offer(*message(span("app:a"), span("app:b")))
        until(lambda: forward.counts()[0].sent, "the last answer")
        forward.stop()
        [told] = forward.counts()
        forward.close()
    assert [one.path for one in receiver.requests] == ["/base/v1/traces"] * 4
    assert len({one.body for one in receiver.requests}) == 1
    for one in receiver.requests:
        assert one.headers["authorization"] == "Bearer s3cret"
        assert one.headers["content-encoding"] == "gzip"
    assert (told.sent, told.dropped["rejected"]) == (1, 1)
    assert "s3cret" not in repr(forward.counts()) + repr(to)


@pytest.mark.parametrize(
    ("status", "retry_after", "verdict", "pause"),
    [
        (200, "", TAKEN, 0),
        (202, "", TAKEN, 0),
        (429, "7", LATER, 7),
        (503, "Thu, 01 Jan 1970 00:20:00 GMT", LATER, 200),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", LATER, 0),
        (504, "soon", LATER, 0),
        (502, "99999999999999999999", LATER, 3600),
        (302, "", NEVER, 0),
        (400, "7", NEVER, 0),
        (401, "", NEVER, 0),
        (500, "", NEVER, 0),
    ],
)
def test_an_answer_means_what_the_specification_says(status: int, retry_after: str, verdict: str, pause: float) -> None:
    found = judge("traces", status, retry_after, b"not protobuf \xff", 1000.0)
    assert (found.verdict, found.pause) == (verdict, pause)


def test_waiting_doubles_up_to_a_bound_and_goes_by_lot() -> None:
    pace = Pace(1.0, 30.0, 0.5, lambda: 0.0)
    assert [pace.pause(failures) for failures in (1, 2, 3, 6, 5000)] == [1, 2, 4, 30, 30]
    assert Pace(1.0, 30.0, 0.5, lambda: 1.0).pause(3) == 2


def test_over_its_bound_a_queue_drops_the_oldest_and_says_how_many(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q.db", 10 * 1064)
    assert queue.put([Message("traces", bytes(1000), 2) for _ in range(10)]) == 0
    assert queue.put([Message("logs", bytes(1000), 3) for _ in range(4)]) == 8
    assert queue.items == 6 * 2 + 4 * 3
    queue.close()
    again = Queue(tmp_path / "q.db", 10 * 1064)
    assert (again.items, again.bytes) == (24, 10 * 1064)
    first = again.oldest(2**20)
    assert [one.message.signal for one in first] == ["traces"] * 6
    assert again.done(first) == 12
    assert again.done(first) == 0
    assert [one.message.signal for one in again.oldest(1500)] == ["logs"]
    again.close()


def test_a_damaged_queue_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "q.db").write_bytes(b"not a database, " * 100)
    queue = Queue(tmp_path / "q.db", 2**20)
    assert queue.put([Message("traces", b"x", 1)]) == 0
    queue.close()
    assert (tmp_path / "q.damaged").exists()


def test_a_receiver_that_never_answers_keeps_nobody_waiting_and_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    go = threading.Event()

    def answer(request: Request) -> Reply:
        go.wait(PATIENCE)
        return 200, {}, b""

    sent = [span("app:f" + "x" * 500) for _ in range(200)]
    with scripted(answer) as receiver:
        to = (Destination(receiver.url),)
        with running(tmp_path, forward=to, forward_bytes=20_000) as collector:
            for one in sent:
                assert collector.otlp(wire.TRACES_PATH, traces(one)).status_code == 200
            assert collector.parts.forward.kept(PATIENCE)
            collector.settle()
            assert collector.get("/api/status")["store"]["spans"] == 200
            told = forwarded(collector)
            assert told["bytes"] <= 20_000
            assert told["waiting"] + told["dropped"]["full"] == 200
            assert told["dropped"]["full"] > 150
            assert collector.get("/api/status")["dropped"]["forward"] == told["dropped"]["full"]
            go.set()
            until(lambda: forwarded(collector)["waiting"] == 0, "what is left to be sent")
        newest = [one.span_id for one in sent[-told["waiting"] :]]
        assert set(newest) <= set(span_ids(receiver.requests))


def test_telemetry_that_comes_in_a_circle_is_kept_once(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = {"port": first, "forward": (Destination(f"http://127.0.0.1:{second}"),)}
    two = {"port": second, "forward": (Destination(f"http://127.0.0.1:{first}"),)}
    with running(tmp_path / "a", **one) as left, running(tmp_path / "b", **two) as right:
        left.otlp(wire.TRACES_PATH, traces(span("app:f")))
        until(lambda: forwarded(right)["sent"], "the way back")
        left.settle()
        right.settle()
        # What came back was kept once more, and went no further.
        assert forwarded(left) | {"sent": 1, "waiting": 0} == forwarded(left)
        assert left.get("/api/status")["ingest"]["accepted"] == 2


def test_destinations_are_read_with_their_headers_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("# for all\nx-tenant: shop\n\n[https://tempo.example/otlp]\nAuthorization: Bearer abc\n")
    listed = "http://jaeger:4318, https://tempo.example/otlp/#traces+logs"
    jaeger, tempo = read_destinations(listed, str(file), "none", 3.0)
    assert (jaeger.url, jaeger.signals, jaeger.headers) == (
        "http://jaeger:4318",
        {"traces", "metrics", "logs"},
        {"x-tenant": "shop"},
    )
    assert (tempo.url, tempo.signals) == ("https://tempo.example/otlp", {"traces", "logs"})
    assert tempo.headers == {"x-tenant": "shop", "Authorization": "Bearer abc"}
    assert (tempo.compression, tempo.timeout) == ("none", 3.0)
    assert "abc" not in repr(tempo)


@pytest.mark.parametrize(
    ("listed", "headers"),
    [
        ("jaeger:4318", ""),
        ("ftp://jaeger", ""),
        ("http://", ""),
        ("http://a:99999", ""),
        ("http://a b", ""),
        ("http://user:s3cret@a", ""),
        ("http://a?key=s3cret", ""),
        ("http://a#spans", ""),
        ("http://a,http://a", ""),
        ("http://a", "no colon here s3cret"),
        ("http://a", "Host: s3cret"),
        ("http://a", "x: s3cr\u00e9t s3cret"),
        ("http://a", "[http://b]\nx: s3cret"),
    ],
)
def test_a_destination_that_cannot_be_is_refused_without_showing_a_secret(
    tmp_path: Path, listed: str, headers: str
) -> None:
    file = tmp_path / "headers"
    file.write_text(headers, encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        read_destinations(listed, str(file) if headers else "")
    assert caught.value.field.startswith("MYSTIC_FORWARD")
    assert caught.value.remedy
    assert "s3cret" not in str(caught.value)
