"""Events of analyzing agents, from whoever sends them, and what is answered from them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mystic_agent.contract import analysis
from mystic_agent.contract.analysis import ANALYSIS_EVENT, REACH_EVENT, RESULT, WHOLE, Access, pack
from mystic_agent.contract.wire import FUNCTION
from mystic_collector.analysis.told import stretch, touches
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from .conftest import Running
from .messages import logs

NOW = 1_790_000_000 * 10**9
STRETCH: dict[str, str | int] = {
    analysis.SESSION: "s",
    analysis.SEQUENCE: 0,
    analysis.THRESHOLD: f"{WHOLE:x}",
    analysis.BEGIN: NOW,
    analysis.END: NOW + 100 * 10**9,
    analysis.BASE: NOW,
    analysis.CALLS: 1000,
    analysis.TOTAL: 10**10,
    analysis.KINDS: '{"unkeyable": {}, "results": {}}',
    analysis.IDENTITY: "",
}
ACCESSES = [Access(i % 20, i / 10, 0.01, i % 20 + 1, 100, RESULT) for i in range(1000)]


def event(name: str, function: str, body: str, given: dict[str, Any]) -> LogRecord:
    record = LogRecord(time_unix_nano=NOW, event_name=name, body=AnyValue(string_value=body))
    for key, value in {FUNCTION: function, **given}.items():
        one = AnyValue(int_value=value) if type(value) is int else AnyValue(string_value=str(value))
        record.attributes.append(KeyValue(key=key, value=one))
    return record


def told(collector: Running, function: str = "shop:price", reach: str = "[]", **given: Any) -> None:
    records = [
        event(REACH_EVENT, function, reach, {}),
        event(ANALYSIS_EVENT, function, pack(ACCESSES), {**STRETCH, **given}),
    ]
    assert collector.otlp("/v1/logs", logs(*records)).status_code == 200
    collector.settle()


def test_an_analyzed_function_is_answered_for_by_name_with_the_ttls_asked_for(collector: Running) -> None:
    told(collector)
    found = collector.get("/api/analysis/cacheability/shop:price", ttl=["5m", "20s"])
    assert (found["verdict"], found["calls"], found["service"]) == ("yes", 1000, "shop")
    assert {300.0, 20.0} < {row["ttl"] for row in found["predictions"]}
    [listed] = collector.get("/api/analysis/cacheability")["functions"]
    assert (listed["function"], listed["verdict"]) == ("shop:price", "yes")


def test_a_shared_cache_and_smaller_bounds_are_predicted_on_request(collector: Running) -> None:
    told(collector)
    small = collector.get("/api/analysis/cacheability/shop:price", scope="shared", max_entries=5)
    assert small["scope"] == "shared"
    assert max(row["hit_rate"] for row in small["predictions"]) == 0


def test_functions_worth_a_cache_come_first(collector: Running) -> None:
    told(collector, "shop:user", '[["context", "shop:user_now", ["shop:user"]]]')
    told(collector, "shop:price")
    rows = collector.get("/api/analysis/cacheability")["functions"]
    assert [(row["function"], row["verdict"]) for row in rows] == [("shop:price", "yes"), ("shop:user", "no")]
    assert rows[1]["reasons"] == ["it depends on a context or thread: shop:user_now"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("ttl=soon", "ttl"), ("scope=all", "scope"), ("max_bytes=-1", "max_bytes"), ("&".join(["ttl=1s"] * 11), "ttl")],
)
def test_a_question_that_makes_no_sense_is_refused_with_the_remedy(collector: Running, query: str, field: str) -> None:
    reply = collector.client.get(f"/api/analysis/cacheability/shop:price?{query}")
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, field)


def test_a_function_that_nobody_knows_is_not_found(collector: Running) -> None:
    assert collector.client.get("/api/analysis/cacheability/no:such").status_code == 404


def test_a_function_that_runs_and_was_not_analyzed_is_unknown_and_says_what_to_do(collector: Running) -> None:
    collector.report("i1", [{"function": "app:f", "state": "attached", "kind": "function"}])
    [reason] = collector.get("/api/analysis/cacheability/app:f")["reasons"]
    assert "mystic hijack app:f --analyze" in reason
    collector.report("i1", [{"function": "app:g", "state": "attached", "kind": "generator"}])
    assert collector.get("/api/analysis/cacheability/app:g")["verdict"] == "no"


HOSTILE: list[dict[str, Any]] = [
    {analysis.THRESHOLD: "zz"},
    {analysis.THRESHOLD: "0"},
    {analysis.THRESHOLD: f"{WHOLE + 1:x}"},
    {analysis.BEGIN: "now"},
    {analysis.END: NOW - 10**9},
    {analysis.CALLS: -1},
    {analysis.CALLS: True},
    {analysis.KINDS: "[]"},
    {analysis.KINDS: '{"unkeyable": {"x": "many"}, "results": {}}'},
    {analysis.KINDS: "[" * 100_000},
    {analysis.KINDS: "{}"},
]


@pytest.mark.parametrize("given", HOSTILE, ids=range(len(HOSTILE)))
def test_an_event_that_is_not_ours_is_left_out(given: dict[str, Any]) -> None:
    assert stretch("p", json.dumps(STRETCH), pack(ACCESSES)) is not None
    assert stretch("p", json.dumps({**STRETCH, **given}), pack(ACCESSES)) is None


@pytest.mark.parametrize(("attributes", "body"), [("", ""), ("[]", ""), ("{}", ""), (json.dumps(STRETCH), "%%%")])
def test_what_is_no_event_at_all_is_left_out(attributes: str, body: str) -> None:
    assert stretch("p", attributes, body) is None


@pytest.mark.parametrize(
    "body", ["", "{}", "[1]", '[["time"]]', '[["nothing", "x", []]]', '[["time", "x", "path"]]', "[" * 100_000]
)
def test_a_reach_that_is_not_ours_is_left_out(body: str) -> None:
    assert touches(body) == []


def test_hostile_events_break_no_answer(collector: Running) -> None:
    told(collector)
    for given in HOSTILE[:-2]:
        told(collector, "shop:price", "nonsense", **{**given, analysis.SESSION: "hostile"})
    found = collector.get("/api/analysis/cacheability/shop:price")
    assert (found["calls"], found["verdict"]) == (1000, "yes")
