"""No secret leaves: through the log, events, spans, snapshots, the wire, or the files of the collector."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from canaries import CARD_SPACED, CASES, JWT, TEXTS, URL, WORD, found
from module_under_test import application, hijack
from mystic_agent.guard import guard
from mystic_agent.otlp import encode_logs, encode_spans
from mystic_agent.redact import LONGEST_SCANNED, clean, describe, show
from mystic_collector.otlp.logs import read_logs
from mystic_collector.otlp.spans import read_spans
from mystic_collector.store.sqlite import SqliteStore
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SOURCE = """
    class Refused(Exception):
        pass

    def refuse(held, text, kind):
        local = {"kept": held}
        message = text if isinstance(text, str) else "no"
        error = Refused(message, *(text,) * (not isinstance(text, str)))
        error.add_note(message)
        raise error

    def call(value, *rest, password="", **more):
        authorization = value
        inner = [value]
        return refuse(inner, value, None)

    def give(value, password=""):
        return {"given": value}

    async def fetch(value):
        try:
            call(value)
        except Refused as cause:
            raise ConnectionError(value if isinstance(value, str) else "no") from cause
"""


def run(module: Any, value: Any) -> None:
    secret = value if isinstance(value, str) else WORD
    with pytest.raises(module.Refused):
        module.call(value, value, password=secret, token=secret, other=value)
    module.give(value, secret)
    coroutine = module.fetch(value)
    with pytest.raises(ConnectionError):
        coroutine.send(None)


@pytest.mark.parametrize("name", CASES)
def test_no_secret_leaves_by_any_way(name, tmp_path: Path, caplog) -> None:
    faults = dict(guard.faults)
    with application(tmp_path, SOURCE, traces=float("inf")) as (module, attachments):
        strategies = [
            {"log": {"result": True, "length": 5000, "depth": 6}},
            {"snapshot": {"rate": 1000, "length": 5000, "depth": 6, "size": 32768}},
        ]
        attachments.apply([hijack(f"{module.__name__}:*", *strategies)])
        attachments.tracer.arm(1)
        with caplog.at_level(logging.INFO, "mystic.calls"):
            run(module, CASES[name])
        events, spans = attachments.events.collect(), attachments.tracer.collect()
    assert {event.name for event in events} == {"mystic.log", "mystic.snapshot"}
    assert {span.error[0] for span in spans if span.error} == {f"{module.__name__}.Refused", "ConnectionError"}
    outlets = {
        "log lines": "\n".join(record.getMessage() for record in caplog.records),
        "events": repr(events),
        "spans": repr(spans),
    }
    store = SqliteStore(tmp_path / "t.db")
    sent = encode_logs(b"", events), encode_spans(b"", spans)
    logs, traces = ExportLogsServiceRequest.FromString(sent[0]), ExportTraceServiceRequest.FromString(sent[1])
    store.write([*read_logs(logs)[0], *read_spans(traces)[0]])
    store.close()
    outlets["wire"] = "".join(one.decode("latin-1") for one in sent)
    outlets["files"] = "".join(file.read_bytes().decode("latin-1") for file in tmp_path.glob("t.db*"))
    for outlet, text in outlets.items():
        assert "Refused" in text, f"the call is not in the {outlet}"
        assert not found(text), f"{found(text)} in the {outlet}"
    assert guard.faults == faults


def test_what_is_looked_for_is_in_the_corpus() -> None:
    for name, text in TEXTS.items():
        assert found(text), name
    for name, value in CASES.items():
        assert found(str(value) if isinstance(value, str) else repr(value)), name


@pytest.mark.parametrize("name", TEXTS)
def test_no_secret_survives_by_being_cut(name) -> None:
    text = TEXTS[name]
    for shift in range(0, len(text) + 20, 3):
        cut = "z " * ((LONGEST_SCANNED - shift) // 2) + text + " tail" * 300
        assert not found(clean(cut)), "at the end of what is scanned"
    for length in range(16, len(text) + 40, 5):
        assert not found(show(text, length=length)), f"shown in {length} characters"
        assert not found(show({"a": [text, {"b": text}]}, length=length))


@pytest.mark.parametrize("name", CASES)
def test_no_secret_is_in_the_description_of_an_exception(name) -> None:
    value = CASES[name]
    error = value if isinstance(value, Exception) else ValueError("password", value, value)
    assert not found(repr(describe(error)))


BOMBS = [
    "eyJ" * 10**6,
    "eyJ" + "a" * 10**6,
    "password=" * 10**5,
    "secret" * 10**5,
    "token " * 10**5,
    "a" * 40 + "token" * 10**5,
    "://" * 10**5,
    "://" + ":" * 10**6,
    "://" + "a" * 600 + "@" * 10**5,
    "1 " * 10**6,
    "1" * 10**6,
    "4-" * 10**5,
    "-----BEGIN " * 10**5,
    "bearer " * 10**5,
    'password="' + "\\" * 10**5,
    "password" + "\\" * 10**5,
    "sk_live_" * 10**5,
    "a-" * 10**5,
    "\x1b" * 10**5,
    "\ud800" * 10**5,
]


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_no_text_is_a_bomb_and_many_are_no_larger_than_one(number) -> None:
    bomb = BOMBS[number]
    values = [bomb, [bomb] * 1000, {f"k{n}": {"deep": [bomb] * 50} for n in range(1000)}]
    times = []
    for _ in range(3):
        began = time.thread_time()
        for value in values:
            show(value, depth=10, length=65536)
        times.append(time.thread_time() - began)
    # Under 50 ms each where nothing else runs; ten times that tells a pattern that backtracks all the same.
    assert min(times) < 0.5 * len(values), "a pattern backtracks, or work is not bounded"


def test_what_is_no_secret_stays_readable() -> None:
    for text in (
        "order 1234567890123456 of author Bob: 3 items",
        "pi is 3.14159265358979323846",
        "https://example.org/a:b/c@d?x=1",
        "the tokens are in flight",
        "2023-11-14T22:13:20.123456+00:00",
        "C:\\Users\\bob",
    ):
        assert clean(text) == text.replace("\\", "\\")
    assert clean(URL) == "postgres://[redacted]@db.example/app?x=1"
    assert JWT not in clean(f"jwt {JWT}")
    assert clean(f"card {CARD_SPACED}!") == "card [redacted]!"
