"""OTLP receivers beside the collector, as OTEL_EXPORTER_OTLP_* names them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from pathlib import Path

import pytest
from mystic_agent.link import Destination, Endpoint, otlp_urls
from mystic_agent.outbox import Outbox
from mystic_agent.records import Batch, Reading, SpanRecord
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

SPAN = SpanRecord("shop:buy", b"t" * 16, b"s" * 8, b"", 1, 2, ("ValueError", "no"), (("n", 3),))
READING = Reading("shop:buy", (0, 0, 0, 4, *[0] * 60), 20, 5, 5, 1)
KEY = "OTEL_EXPORTER_OTLP_"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        return reserved.getsockname()[1]


def one(environ: dict[str, str]) -> Destination:
    [receiver] = otlp_urls(environ).receivers
    return receiver


def test_the_general_endpoint_is_a_base_for_all_signals() -> None:
    found = otlp_urls({KEY + "ENDPOINT": "http://tempo:4318/base/", KEY + "HEADERS": "api-key=a%20b, x=y"})

    base = "http://tempo:4318/base/v1/"
    assert (found.traces, found.metrics, found.logs) == (base + "traces", base + "metrics", base + "logs")
    assert found.receivers == (
        Destination(
            "tempo",
            4318,
            False,
            {"spans": "/base/v1/traces", "metrics": "/base/v1/metrics", "logs": "/base/v1/logs"},
            (("api-key", "a b"), ("x", "y")),
        ),
    )
    assert found.warnings == ()


def test_the_endpoint_of_a_signal_is_used_as_it_is_and_goes_before_the_general_one() -> None:
    found = otlp_urls(
        {
            KEY + "ENDPOINT": "http://both:4318",
            KEY + "TRACES_ENDPOINT": "https://traces?tenant=1",
            KEY + "TRACES_HEADERS": "k=v",
            KEY + "TIMEOUT": "2500",
            KEY + "TRACES_CERTIFICATE": "/etc/ca.pem",
        }
    )

    traces, rest = found.receivers
    assert traces == Destination("traces", 443, True, {"spans": "/?tenant=1"}, (("k", "v"),), 2.5, "/etc/ca.pem")
    assert rest == Destination("both", 4318, False, {"metrics": "/v1/metrics", "logs": "/v1/logs"}, (), 2.5)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {KEY + "ENDPOINT": ""},
        {KEY + "ENDPOINT": "http://a:1", "OTEL_SDK_DISABLED": "true"},
        {
            KEY + "ENDPOINT": "http://a:1",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
    ],
)
def test_what_is_unset_or_switched_off_is_no_receiver_and_no_warning(environ: dict[str, str]) -> None:
    assert otlp_urls(environ) == ("", "", "", (), ())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ENDPOINT", "tempo:4318"),
        ("ENDPOINT", "ftp://tempo"),
        ("ENDPOINT", "http://tempo:port"),
        ("ENDPOINT", "http://tempo:99999"),
        ("ENDPOINT", "http://[::1"),
        ("ENDPOINT", "http://tempo/a\r\nX: y"),
        ("PROTOCOL", "grpc"),
        ("HEADERS", "no equals"),
        ("HEADERS", "k=v%0D%0AX: y"),
        ("TIMEOUT", "soon"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_remedy(variable: str, value: str) -> None:
    [warning] = otlp_urls({KEY + "ENDPOINT": "http://tempo:4318", KEY + variable: value}).warnings

    assert warning.startswith(KEY + variable)
    assert ":" in warning


def test_neither_key_nor_headers_are_shown() -> None:
    receiver = one({KEY + "ENDPOINT": "http://tempo:4318", KEY + "HEADERS": "authorization=s3cret"})
    endpoint = Endpoint("h", 1, api_key="s3cret", receivers=(receiver,))

    assert "s3cret" not in repr((endpoint, endpoint.collector(), receiver))


def test_a_receiver_that_is_the_collector_itself_is_not_sent_to_twice() -> None:
    receiver = one({KEY + "ENDPOINT": "http://127.0.0.1:8899"})

    assert Endpoint("127.0.0.1", 8899, receivers=(receiver,)).others() == ()
    assert Endpoint("0.0.0.0", 8899, receivers=(receiver,)).others() == ()
    assert Endpoint("127.0.0.1", 8898, receivers=(receiver,)).others() == (receiver,)


def test_a_third_party_receiver_gets_spans_and_metrics_beside_the_collector(collector, owner, linked, event) -> None:
    owner.batch = Batch([SPAN], [READING])
    port = free_port()
    receivers = otlp_urls({KEY + "ENDPOINT": f"http://127.0.0.1:{port}"}).receivers
    collector.greeting = [event(1)]

    async def receive():
        async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port)) as tap:
            waiting = asyncio.gather(
                tap.await_trace(lambda span: True, 15),
                tap.await_metric(lambda metric: metric.name == "mystic.function.duration", 15),
            )
            await asyncio.sleep(0)
            linked(collector.port, receivers=receivers)
            return await waiting

    span, metric = asyncio.run(receive())

    assert (span.name, span.trace_id, span.span_id) == ("shop.buy", b"t" * 16, b"s" * 8)
    assert metric.exponential_histogram.data_points[0].count == 4
    collector.wait(lambda: collector.of("/v1/traces") and collector.of("/v1/metrics"))
    assert owner.applied.get(timeout=10)[0] == 1


def test_a_receiver_that_cannot_read_gzip_is_sent_the_plain_form_from_then_on(collector, owner, linked, answer) -> None:
    collector.answer = lambda posted: answer(415 if "Content-Encoding" in posted.headers else 200)
    owner.batch = Batch([SPAN], [])
    link = linked(collector.port, interval=3600)

    assert link.flush(10)
    owner.batch = Batch([SPAN], [])
    assert link.flush(10)

    assert ["Content-Encoding" in posted.headers for posted in collector.of("/v1/traces")] == [True, False, False]
    assert owner.outbox.dropped == {}


def test_compression_none_is_honoured(collector, owner, linked) -> None:
    owner.batch = Batch([SPAN], [])
    environ = {KEY + "TRACES_ENDPOINT": f"http://127.0.0.1:{collector.port}/x", KEY + "COMPRESSION": "none"}

    linked(collector.port, receivers=otlp_urls(environ).receivers, telemetry=False)

    collector.wait(lambda: collector.of("/x"))
    assert "Content-Encoding" not in collector.of("/x")[0].headers
    assert collector.of("/v1/traces") == []


def test_a_receiver_that_is_down_holds_up_nothing_for_the_collector(collector, owner, linked) -> None:
    owner.batch = Batch([SPAN], [READING])
    receivers = otlp_urls({KEY + "ENDPOINT": f"http://127.0.0.1:{free_port()}"}).receivers
    owner.outbox = Outbox(1)

    link = linked(collector.port, receivers=receivers)

    collector.wait(lambda: collector.of("/v1/metrics"))
    assert not link.flush(10), "one of two receivers did not take it"
    assert set(owner.outbox.dropped) == {"spans", f"127.0.0.1:{receivers[0].port}.spans"}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-out", str(files[0]), "-keyout", str(files[1])]
    try:
        subprocess.run([*command.split(), *names], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed, and TLS needs a certificate made for the test")
    return files


@pytest.mark.parametrize("trusted", [True, False])
def test_over_tls_only_a_trusted_receiver_gets_anything(secure, certificate, owner, linked, trusted, collector) -> None:
    server = secure(*certificate)
    owner.batch = Batch([SPAN], [READING])
    environ = {KEY + "TRACES_ENDPOINT": f"https://localhost:{server.port}/v1/traces"}
    if trusted:
        environ[KEY + "CERTIFICATE"] = str(certificate[0])

    linked(collector.port, receivers=otlp_urls(environ).receivers)

    if trusted:
        server.wait(lambda: server.of("/v1/traces"))
    else:
        where, error = owner.faults.get(timeout=10)
        assert (where, type(error).__name__) == ("link.send", "SSLCertVerificationError")
        assert server.posts == []
