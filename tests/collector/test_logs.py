"""Log records and events: taken from anybody, kept within bounds, found again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract import wire
from mystic_collector.otlp.logs import read_logs
from mystic_collector.store.log_records import LogQuery
from mystic_collector.store.sqlite import SqliteStore
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from .conftest import Running
from .messages import START, log, logs

SECOND = 10**9


def send(collector: Running, *records: Any, **origin: str) -> None:
    assert collector.otlp(wire.LOGS_PATH, logs(*records, **origin)).status_code == 200
    collector.settle()


def messages(found: dict[str, Any]) -> list[str]:
    return [one["message"] for one in found["logs"]]


def test_records_are_found_by_function_level_event_text_service_and_trace(collector: Running) -> None:
    trace = b"t" * 16
    send(
        collector,
        log("first", event="mystic.log", function="app:f", time=START),
        log("second", event="mystic.log", function="app:g", time=START + 1, severity=17, trace=trace),
        log("Third", event="other", function="app:f", time=START + 2, severity=13, colour="Green"),
        log("{}", event="mystic.snapshot", function="app:f", time=START + 3),
    )
    send(collector, log("elsewhere", time=START - 5), service="web", instance="w")
    ask = lambda **body: messages(collector.post("/api/logs", body))  # noqa: E731
    assert ask() == ["Third", "second", "first", "elsewhere"]
    assert ask(function="app:f") == ["Third", "first"]
    assert ask(level="warning") == ["Third", "second"]
    assert ask(event="mystic.log") == ["second", "first"]
    assert ask(text="tHIRD") == ask(text="green") == ["Third"]
    assert ask(service="web") == ["elsewhere"]
    assert ask(trace_id=trace.hex()) == ["second"]
    assert ask(function="app:f", level="error") == ask(text="nowhere") == []


def test_a_record_says_where_it_comes_from_and_that_it_was_captured(collector: Running) -> None:
    send(collector, log("boom\x1b[31m\u202e!\nline", event="mystic.log", function="app:f", trace=b"t" * 16, n="a\x00b"))
    [one] = collector.post("/api/logs", {})["logs"]
    assert one["captured"] is True
    assert one["message"] == "boom[31m!\nline", "a terminal would have turned red, and read backwards"
    assert one["attributes"] == {wire.FUNCTION: "app:f", "n": "ab"}
    assert (one["function"], one["service"], one["instance"], one["level"]) == ("app:f", "shop", "i1", "info")
    assert (one["time_ns"], one["trace_id"]) == (START, (b"t" * 16).hex())
    assert len(one["span_id"]) == 16


def test_pages_go_back_in_time_without_a_gap_or_a_repetition(collector: Running) -> None:
    send(collector, *(log(f"{n}", time=START + n // 3) for n in range(20)))
    seen: list[str] = []
    body: dict[str, Any] = {"limit": 6}
    while True:
        found = collector.post("/api/logs", body)
        seen += messages(found)
        if found["next"] is None:
            break
        body["cursor"] = found["next"]
    assert seen == [str(n) for n in reversed(range(20))]


def test_following_gets_what_arrives_once_in_the_order_of_arrival(collector: Running) -> None:
    send(collector, log("old"))
    newest = collector.post("/api/logs", {})["newest"]
    send(collector, log("late", time=START - 10 * SECOND), log("later", time=START + SECOND))
    found = collector.post("/api/logs", {"after": newest, "limit": 1})
    assert messages(found) == ["late"]
    found = collector.post("/api/logs", {"after": found["newest"]})
    assert messages(found) == ["later"]
    assert messages(collector.post("/api/logs", {"after": found["newest"]})) == []


def test_a_page_stays_below_a_megabyte_of_text(collector: Running) -> None:
    send(collector, *(log("x" * 60_000, time=START + n) for n in range(40)))
    reply = collector.client.post("/api/logs", json={"limit": 1000})
    assert len(reply.content) < 1_100_000
    assert reply.json()["next"] is not None
    assert 10 < reply.json()["count"] < 40


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("level", "loud"),
        ("limit", 0),
        ("limit", "10"),
        ("limit", True),
        ("since", "soon"),
        ("since", -1),
        ("cursor", "1"),
        ("cursor", "9" * 30 + ".1"),
        ("cursor", 5),
        ("after", -1),
        ("trace_id", "xyz"),
        ("text", "x" * 2000),
        ("function", 7),
        ("colour", "red"),
    ],
)
def test_what_cannot_be_asked_is_named_with_the_remedy(shared: Running, field: str, value: Any) -> None:
    error = shared.post("/api/logs", {field: value}, 422)["error"]
    assert error["field"] == field
    assert error["remedy"]


def test_the_logging_of_any_opentelemetry_sdk_is_taken(collector: Running) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource.create({"service.name": "foreign"}))
    exporter = OTLPLogExporter(f"{collector.url}/v1/logs", compression=Compression.Gzip)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    from opentelemetry._logs import LogRecord, SeverityNumber

    provider.get_logger("t").emit(
        LogRecord(
            timestamp=START,
            severity_number=SeverityNumber.ERROR,
            severity_text="ERROR",
            body={"text": "no stock", "left": 0},
            event_name="stock.empty",
            attributes={"item": "tea"},
        )
    )
    provider.shutdown()
    collector.settle()
    [one] = collector.post("/api/logs", {"service": "foreign"})["logs"]
    assert (json.loads(one["message"]), one["event"], one["level"]) == (
        {"text": "no stock", "left": 0},
        "stock.empty",
        "error",
    )
    assert one["attributes"] == {"item": "tea"}


def test_json_records_are_taken_like_protobuf_ones(collector: Running) -> None:
    record = {
        "timeUnixNano": str(START),
        "severityNumber": 13,
        "body": {"stringValue": "hello"},
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "attributes": [{"key": "event.name", "value": {"stringValue": "older.convention"}}],
    }
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    reply = collector.client.post("/v1/logs", json=body)
    assert (reply.status_code, reply.json()) == (200, {})
    collector.settle()
    [one] = collector.post("/api/logs", {"trace_id": "5b8efff798038103d269b633813fc60c"})["logs"]
    assert (one["message"], one["level"], one["event"]) == ("hello", "warning", "older.convention")


def test_impossible_times_are_rejected_one_by_one_and_missing_ones_become_the_arrival(collector: Running) -> None:
    reply = collector.otlp(wire.LOGS_PATH, logs(log("good"), log("bad", time=2**64 - 1), log("timeless", time=0)))
    partial = ExportLogsServiceResponse.FromString(reply.content).partial_success
    assert (partial.rejected_log_records, partial.error_message) == (1, "times must fit 63 bits")
    collector.settle()
    assert messages(collector.post("/api/logs", {})) == ["timeless", "good"]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    found = SqliteStore(tmp_path / "t.db", max_functions=2, max_age=100.0, max_bytes=2**20, clock=lambda: 1000.0)
    yield found
    found.close()


def kept(store: SqliteStore, **query: Any) -> list[str]:
    return [one.row.body for one in store.logs(LogQuery(**query)).records]


def write(store: SqliteStore, *records: Any) -> None:
    store.write(read_logs(logs(*records))[0])


def test_records_older_than_the_retention_go(store: SqliteStore) -> None:
    write(store, log("old"))
    assert store.retain(1050.0) == 0
    assert kept(store) == ["old"]
    assert store.retain(1200.0) >= 1
    assert kept(store) == []


def test_the_store_of_records_stays_within_its_bytes_and_the_oldest_go_first(store: SqliteStore) -> None:
    for n in range(30):
        write(store, *(log(f"{n} " + "x" * 5000, time=START + n) for _ in range(10)))
    for _ in range(50):
        store.retain(1000.0)
    assert store.sizes().bytes <= 2**20
    left = kept(store, limit=1000)
    assert left
    assert left[0].startswith("29 ")
    assert store.sizes().logs == len(left)


def test_records_of_functions_beyond_the_bound_on_names_are_still_found(store: SqliteStore) -> None:
    write(store, *(log(f"{n}", function=f"m:f{n}", time=START + n) for n in range(5)))
    assert kept(store, function="m:f4") == ["4"]
    assert kept(store, function="m:f0") == ["0"]
    assert kept(store, function="m:none") == []


def test_a_huge_record_is_kept_in_part(store: SqliteStore) -> None:
    write(store, log("b" * 10**6, function="m:f", big="v" * 10**6))
    [one] = store.logs(LogQuery()).records
    assert len(one.row.body) == 64 * 1024
    left = json.loads(one.row.attributes)
    assert left == {wire.FUNCTION: "m:f", "mystic.left_out": "attributes of 1000034 characters"}


def test_a_search_that_finds_little_says_where_to_go_on(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mystic_collector.store.logs._MOST_EXAMINED", 4)
    write(store, *(log(f"{n}", time=START + n) for n in range(10)))
    pages, before, found = 0, None, []
    while pages == 0 or before is not None:
        page = store.logs(LogQuery(text="3", before=before))
        found += [one.row.body for one in page.records]
        pages, before = pages + 1, page.next
    assert (found, pages) == (["3"], 3)


def test_records_survive_a_restart(start: Callable[..., Any]) -> None:
    with start() as collector:
        send(collector, log("kept"))
    with start() as collector:
        assert messages(collector.post("/api/logs", {})) == ["kept"]
        assert collector.get("/api/status")["store"]["logs"] == 1
