"""Snapshots, and what happened in order of time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mystic_agent.contract import wire
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from .conftest import Running
from .messages import START, log, logs, span, traces

SECOND = 10**9
CONTENT = {
    "arguments": {"amount": "250", "note": "'a\x1b[31m'"},
    "arguments_at": "call",
    "result": None,
    "exception": {"type": "app.Refused", "message": "too much", "frames": [{"function": "f", "file": "a", "line": 3}]},
    "caller": [{"function": "main", "file": "app.py", "line": 9}],
}


def snapshot(function: str, time: int, number: int = 1, **more: Any) -> Any:
    record = log(json.dumps({**CONTENT, **more}), event=wire.SNAPSHOT_EVENT, function=function, time=time, severity=17)
    numbers = {wire.SECONDS: 0.25, "mystic.snapshot.number": number, "mystic.snapshot.count": 3}
    texts = {wire.OUTCOME: "raised", "thread.name": "MainThread", "mystic.hijack": "h1"}
    for key, value in {**numbers, **texts}.items():
        kind = {int: "int_value", float: "double_value", str: "string_value"}[type(value)]
        record.attributes.append(KeyValue(key=key, value=AnyValue(**{kind: value})))
    return record


def send(collector: Running, *records: Any, **origin: str) -> None:
    assert collector.otlp(wire.LOGS_PATH, logs(*records, **origin)).status_code == 200
    collector.settle()


def test_a_snapshot_is_shown_in_full_and_labelled_as_captured(collector: Running) -> None:
    send(collector, snapshot("app:pay", START))
    found = collector.post("/api/state/snapshots", {})
    [one] = found["snapshots"]
    assert (found["count"], found["next"], one["captured"]) == (1, None, True)
    assert one["arguments"] == {"amount": "250", "note": "'a[31m'"}, "no control character reaches a terminal"
    assert (one["exception"], one["caller"]) == (CONTENT["exception"], CONTENT["caller"])
    assert (one["outcome"], one["duration"], one["number"], one["of"]) == ("raised", 0.25, 1, 3)
    assert (one["function"], one["thread"], one["hijack"], one["task"]) == ("app:pay", "MainThread", "h1", None)


def test_snapshots_are_kept_in_order_and_looked_at_again_by_id(collector: Running) -> None:
    send(collector, *(snapshot("app:pay", START + n, n) for n in range(5)), snapshot("app:other", START + 9))
    ask = lambda **body: collector.post("/api/state/snapshots", body)  # noqa: E731
    first = ask(function="app:pay", limit=2)
    assert [one["number"] for one in first["snapshots"]] == [4, 3]
    rest = ask(function="app:pay", cursor=first["next"])
    assert [one["number"] for one in rest["snapshots"]] == [2, 1, 0]
    [again] = ask(id=first["snapshots"][1]["id"])["snapshots"]
    assert again == first["snapshots"][1]
    assert ask(id=10**9)["snapshots"] == []
    assert ask(service="nobody")["count"] == 0
    assert collector.post("/api/logs", {"function": "app:pay"})["count"] == 0, "they have a route of their own"
    assert collector.post("/api/logs", {"event": wire.SNAPSHOT_EVENT})["count"] == 6


def test_what_a_foreign_sender_calls_a_snapshot_is_shown_as_its_text(collector: Running) -> None:
    send(
        collector, log("not json\x00", event=wire.SNAPSHOT_EVENT), log("[1]", event=wire.SNAPSHOT_EVENT, time=START - 1)
    )
    found = collector.post("/api/state/snapshots", {})["snapshots"]
    assert [(one["text"], one["arguments"]) for one in found] == [("not json", None), ("[1]", None)]


def test_the_timeline_has_snapshots_changes_and_errors_in_order_of_time(collector: Running) -> None:
    now = round(collector.parts.clock() * 1e9)
    added = collector.post("/api/hijacks", {"target": "app:pay", "stages": {"*": ["log"]}, "owner": "ada"}, 201)
    after = round(collector.parts.clock() * 1e9)
    send(collector, snapshot("app:pay", now - 3 * SECOND), snapshot("app:other", after + 3 * SECOND))
    root = span("app:main", start=now - 2 * SECOND, error="Refused: no")
    inner = span("app:pay", trace=root.trace_id, parent=root.span_id, start=now - 2 * SECOND + 5, error="Refused: no")
    collector.otlp(wire.TRACES_PATH, traces(root, inner, span("app:fine", start=now)))
    collector.settle()

    found = collector.get("/api/state/timeline")
    assert [(one["kind"], one.get("function")) for one in found["timeline"]] == [
        ("snapshot", "app:other"),
        ("change", None),
        ("error", "app:pay"),
        ("snapshot", "app:pay"),
    ]
    _, change, error, first = found["timeline"]
    assert (change["action"], change["hijack"], change["actor"]) == ("add", added["id"], "ada")
    assert (change["target"], change["strategies"]) == ("app:pay", ["log"])
    assert (error["error"], error["captured"]) == ("Refused: no", True)
    assert (first["error"], first["captured"]) == ("app.Refused: too much", True)
    assert "arguments" not in first

    kinds = lambda **query: [one["kind"] for one in collector.get("/api/state/timeline", **query)["timeline"]]  # noqa: E731
    assert kinds(function="app:pay") == ["change", "error", "snapshot"]
    assert kinds(function="app:main") == ["error"]
    assert kinds(service="nobody") == ["change"], "the hijack is for every service"
    assert kinds(since="10d") == ["snapshot", "change", "error", "snapshot"]
    assert kinds(since=1) == ["snapshot", "change"]


def test_the_timeline_is_paged_without_a_gap_or_a_repetition(collector: Running) -> None:
    now = round(collector.parts.clock() * 1e9)
    send(collector, *(snapshot("app:pay", now - n // 2 * SECOND) for n in range(9)))
    for n in range(6):
        collector.otlp(wire.TRACES_PATH, traces(span("app:pay", start=now - n * SECOND, error="E: x")))
        collector.post("/api/hijacks", {"target": f"app:f{n}", "stages": {"*": ["log"]}}, 201)
    collector.settle()
    whole = collector.get("/api/state/timeline")
    assert (whole["count"], whole["next"]) == (21, None)
    paged: list[Any] = []
    query: dict[str, Any] = {"limit": 4}
    while True:
        found = collector.get("/api/state/timeline", **query)
        paged += found["timeline"]
        if found["next"] is None:
            break
        query["cursor"] = found["next"]
    assert paged == whole["timeline"]
    times = [one["time_ns"] for one in paged]
    assert times == sorted(times, reverse=True)


def test_a_refused_attempt_and_the_switch_are_on_the_timeline(collector: Running) -> None:
    collector.post("/api/hijacks", {"target": "hmac:compare_digest", "stages": {"*": [{"mock": {"value": 1}}]}}, 422)
    collector.post("/api/off", {"reason": "is it us?"})
    found = collector.get("/api/state/timeline")["timeline"]
    assert [(one["kind"], one["action"]) for one in found] == [("change", "off"), ("change", "denied")]
    assert [one["action"] for one in collector.get("/api/state/timeline", function="app:f")["timeline"]] == ["off"]


@pytest.mark.parametrize(
    ("field", "value"), [("limit", "0"), ("since", "soon"), ("cursor", "x"), ("function", "nobody")]
)
def test_a_timeline_that_cannot_be_asked_for_is_named(shared: Running, field: str, value: str) -> None:
    reply = shared.client.get("/api/state/timeline", params={field: value})
    assert reply.status_code == 422
    assert reply.json()["error"]["field"] == field
