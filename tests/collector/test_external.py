"""What agents tell of external calls is kept, added up, and turned into what to replace."""

from __future__ import annotations

import pytest
from mystic_agent.contract import wire
from mystic_agent.contract.codec import encode
from mystic_agent.contract.recording import Recorded
from mystic_agent.external.caller import Caller
from mystic_agent.external.ledger import Ledger
from mystic_agent.otlp import encode_metrics, encode_resource
from mystic_agent.records import Count, Reading
from mystic_collector.analysis.external import external, meant
from mystic_collector.otlp.points import read_points
from mystic_collector.store.external_records import ExternalPoint, ExternalRow
from mystic_collector.store.externals import MOST_ROWS
from mystic_collector.store.records import Incoming, Resource
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from .conftest import Running

SECOND = 10**9


def row(function: str, via: str = "requests.api:get", peer: str = "api:443", waited: float = 1.0) -> ExternalRow:
    point = ExternalPoint(function, via, peer, "https", 5, 3, 1, 0, 10, 20, int(waited * SECOND))
    return ExternalRow("shop", "production", 1, point)


def send(collector: Running, ledger: Ledger, instance: str, stage: str = "production") -> None:
    post(collector, instance, stage, [], ledger.counts())


def send_counts(collector: Running, instance: str, *, calls: int, cost: dict[str, float]) -> None:
    """Send what an agent does of its own cost, and of one function that was called."""
    counts = [Count(wire.COST, value, ((wire.KIND, kind),), gauge=True) for kind, value in cost.items()]
    counts.append(Count(wire.OVERHEAD, 0.25, (), gauge=True))
    buckets = (0,) * 10 + (calls,) + (0,) * 53
    post(collector, instance, "production", [Reading("m:f", buckets, calls * 700, 600, 800)], counts)


def post(collector: Running, instance: str, stage: str, readings: list[Reading], counts: list[Count]) -> None:
    resource = encode_resource([(wire.SERVICE_NAME, "shop"), (wire.INSTANCE_ID, instance), (wire.STAGE, stage)])
    now = int(collector.parts.clock() * SECOND)
    body = encode_metrics(resource, readings, counts, start_ns=1, now_ns=now)
    reply = collector.client.post("/v1/metrics", content=body, headers={"content-type": "application/x-protobuf"})
    assert reply.status_code == 200, reply.text
    collector.settle()


def test_what_an_agent_sends_is_kept_once_and_added_up_over_processes(collector: Running) -> None:
    ledger = Ledger()
    cells = ledger.cells(Caller("m:f", "requests.api:get"), "api:443", "https")
    cells[:] = [3, 1, 0, 100, 200, 2 * SECOND]
    for instance in ("a", "b", "a"):  # what is said twice counts once
        send(collector, ledger, instance)
    cells[0] += 1
    send(collector, ledger, "a")
    found = collector.get("/api/analysis/external")
    [one] = found["functions"]
    assert (one["function"], one["target"], one["operations"], one["sent"]) == ("m:f", "m:f", 7, 200)
    assert one["waited"] == pytest.approx(4.0)
    assert (one["calls_out"][0]["processes"], one["via"], one["share"]) == (2, ["requests.api:get"], None)
    assert collector.get("/api/analysis/external", stage="development")["count"] == 0
    assert collector.get("/api/analysis/external", q="api")["count"] == 1
    assert collector.get("/api/analysis/external", q="elsewhere")["count"] == 0
    assert collector.get("/api/points")["count"] == 0


def test_one_process_cannot_fill_the_table(collector: Running) -> None:
    points = [ExternalPoint("m:f", "", f"host-{n}:1", "", 1, n + 1) for n in range(MOST_ROWS + 20)]
    for _ in range(2):
        collector.parts.writer.offer([Incoming(Resource("shop", "i", "", "{}"), externals=points)])
        collector.settle()
    rows = collector.parts.store.externals()
    assert len(rows) == MOST_ROWS
    assert sum(one.point.operations for one in rows) == sum(range(1, MOST_ROWS + 1))


def test_points_that_cannot_be_are_rejected_one_by_one_and_control_characters_go() -> None:
    ledger = Ledger()
    ledger.cells(Caller("m:f\n\x1b[31m", ""), "a:1", "")[0] = 1
    body = encode_metrics(encode_resource([]), [], ledger.counts(), start_ns=1, now_ns=2)
    [taken], rejected, _ = read_points(ExportMetricsServiceRequest.FromString(body))
    assert rejected == 0
    assert taken.externals[0].function == "m:f  [31m"


def test_functions_are_ranked_by_what_they_waited_with_the_share_of_their_time() -> None:
    totals = {("shop", "m:slow"): (10, 4 * SECOND), ("shop", "m:fast"): (10, SECOND)}
    rows = [
        row("m:fast", waited=0.1),
        row("m:slow", waited=2.0),
        row("m:slow", peer="db:5432", waited=1.5),
        row("", waited=0.5),
    ]
    slow, nobody, fast = external(rows, totals)
    assert (slow["function"], slow["peers"], slow["mostly_external"]) == ("m:slow", ["api:443", "db:5432"], True)
    assert slow["share"] == pytest.approx(3.5 / 4)
    assert (nobody["function"], nobody["target"], nobody["share"]) == ("", "requests.api:get", None)
    assert (fast["mostly_external"], fast["share"]) == (False, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("m:f", ["m:f"]),
        ("f", ["m:f"]),
        ("C.g", ["m:C.g"]),
        ("g", ["m:C.g"]),
        ("api:443", ["m:f"]),
        ("api", ["m:f"]),
        ("db:5432", ["m:C.g"]),
        ("https", ["m:f", "m:C.g"]),
        ("", ["m:f", "m:C.g"]),
        ("nobody", []),
    ],
)
def test_a_function_is_meant_by_its_name_or_by_whom_it_calls(name: str, targets: list[str]) -> None:
    found = external([row("m:f", waited=2.0), row("m:C.g", peer="db:5432", via="")], {})
    assert meant(name, found) == targets


def test_a_mock_without_an_answer_says_what_the_function_returns(collector: Running) -> None:
    project = collector.parts.settings.project_root
    (project / "m.py").write_text("def f() -> dict[str, int]:\n    return {}\n\ndef g():\n    return 1\n")
    for name, told in (("m:f", "m:f returns dict[str, int]"), ("m:g", "m:g has no return annotation")):
        reply = collector.client.post("/api/analysis/external/mock", json={"function": name})
        assert reply.status_code == 422
        assert told in reply.json()["error"]["remedy"]
    made = collector.post("/api/analysis/external/mock", {"function": "m:f", "value": {"a": 1}, "owner": "ada"}, 201)
    assert made["stages"] == {"development": [{"mock": {"value": {"a": 1}}}]} | made["stages"]
    assert made["reason"]
    reply = collector.client.post("/api/analysis/external/mock", json={"function": "m:f", "worth": 1})
    assert reply.json()["error"]["field"] == "body"


def test_a_generator_is_mocked_by_what_it_yields(collector: Running) -> None:
    collector.report("i1", [{"function": "m:stream", "state": "attached", "kind": "generator"}])
    made = collector.post("/api/analysis/external/mock", {"function": "m:stream", "value": [1, 2]}, 201)
    assert made["stages"]["development"][0]["mock"]["yields"] == [1, 2]


def test_what_a_function_really_gave_is_proposed_and_replayed(collector: Running) -> None:
    recorded = Recorded("m:f", "0" * 64, encode({"total": 3}), call="f()", at=1.0)
    collector.parts.recordings.keep([("last-week", recorded)])
    reply = collector.client.post("/api/analysis/external/mock", json={"function": "m:f"})
    assert "last-week holds what m:f really gave" in reply.json()["error"]["remedy"]
    both = {"function": "m:f", "recording": "last-week", "value": 1}
    assert collector.client.post("/api/analysis/external/mock", json=both).json()["error"]["field"] == "recording"
    made = collector.post("/api/analysis/external/mock", {"function": "m:f", "recording": "last-week"}, 201)
    [spec] = made["stages"]["development"]
    assert spec["replay"]["recording"] == "last-week"
