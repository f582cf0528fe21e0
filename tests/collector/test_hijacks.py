"""The set of hijacks: versions, leases, audit, the push to agents and their reports."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import parse_hijack
from mystic_agent.contract.report import parse_report
from mystic_collector.hijacks import policy as policies
from mystic_collector.hijacks.fleet import GONE_AFTER, Fleet
from mystic_collector.hijacks.registry import Registry
from mystic_collector.store.protocol import StoreError

from .conftest import PATIENCE, Running, until

CACHE = {"target": "app:slow", "stages": {"*": [{"cache": {"ttl": "30m"}}]}}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Any:
    with contextlib.closing(Registry(tmp_path / "hijacks.db", clock)) as found:
        yield found


def function(name: str, state: str = "attached", **more: Any) -> dict[str, Any]:
    return {"function": name, "state": state, "kind": "function", "file": "/app/app.py", "line": 3, **more}


def report(instance: str, functions: list[dict[str, Any]], **more: Any) -> Any:
    base = {"instance": instance, "service": "shop", "stage": "production", "pid": 7, "version": 1}
    return parse_report({**base, "complete": True, "functions": functions, "status": {}, **more})


def test_every_change_is_a_new_version_of_the_whole_set_and_outlives_a_restart(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "hijacks.db"
    with contextlib.closing(Registry(path, clock)) as first:
        assert first.snapshot().version == 0
        kept = first.put({**CACHE, "owner": "ann", "reason": "slow"})
        gone = first.put({**CACHE, "target": "app:other"})
        first.put({**CACHE, "stages": {"production": ["observe"]}}, kept.id)
        first.remove(gone.id)
        assert first.snapshot().version == 4
    with contextlib.closing(Registry(path, clock)) as second:
        assert second.snapshot().version == 4
        [found] = second.snapshot().hijacks
        assert (found.id, list(found.stages)) == (kept.id, ["production"])
        second.put(CACHE)
        assert second.snapshot().version == 5
        audit = second.audit()
        assert [one["action"] for one in audit] == ["add", "remove", "replace", "add", "add"]
        assert audit[-1]["actor"] == "ann"
        assert audit[2]["before"]["reason"] == "slow"
        assert audit[1]["after"] is None


def test_a_lease_ends_by_itself_and_the_audit_says_so(registry: Registry, clock: Clock) -> None:
    one = registry.put({**CACHE, "expires_in": "2h"})
    assert one.expires_at == 1000 + 7200
    assert registry.next_expiry() == one.expires_at
    assert registry.expire() == []
    clock.now += 7200
    assert registry.expire() == [one]
    assert registry.snapshot().hijacks == ()
    assert registry.audit()[0]["action"] == "expire"


def test_a_replaced_hijack_keeps_its_age(registry: Registry, clock: Clock) -> None:
    one = registry.put(CACHE)
    clock.now += 50
    assert registry.put({**CACHE, "reason": "x"}, one.id).created_at == one.created_at


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"target": "app:f"}, "stages"),
        ({**CACHE, "target": "not a target"}, "target"),
        ({**CACHE, "stages": {"*": [{"teleport": {}}]}}, "stages.*[0]"),
        ({**CACHE, "stages": {"*": [{"cache": {"ttl": "soon"}}]}}, "stages.*[0].cache.ttl"),
        ({**CACHE, "expires_in": "soon"}, "expires_in"),
        ({**CACHE, "expires_in": "1h", "expires_at": 5}, "expires_in"),
        ({**CACHE, "expires_at": 5}, "expires_at"),
        ({**CACHE, "id": "mine"}, "id"),
        ({**CACHE, "owner": "a\x1b[2J"}, "owner"),
        ({**CACHE, "surprise": 1}, "hijack"),
    ],
)
def test_a_bad_hijack_is_refused_and_the_set_stays(registry: Registry, fields: dict[str, Any], field: str) -> None:
    registry.put(CACHE)
    before = registry.snapshot()
    with pytest.raises(Invalid) as caught:
        registry.put(fields)
    assert caught.value.field == field
    assert registry.snapshot() == before


@pytest.mark.parametrize("target", ["hmac:compare_digest", "ssl:*", "mystic_agent.guard:Guard.run"])
def test_what_guards_secrets_cannot_be_changed_and_the_attempt_is_audited(registry: Registry, target: str) -> None:
    with pytest.raises(Invalid, match="refused"):
        registry.put({"target": target, "stages": [{"block": {}}], "owner": "mallory"})
    assert registry.snapshot().hijacks == ()
    [denied] = registry.audit()
    assert (denied["action"], denied["actor"], denied["after"]["target"]) == ("denied", "mallory", target)


def test_the_set_is_bounded_so_that_every_agent_can_take_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "MOST_HIJACKS", 2)
    registry.put(CACHE)
    registry.put(CACHE)
    with pytest.raises(Invalid, match="at most 2"):
        registry.put(CACHE)
    monkeypatch.setattr(policies, "MOST_BYTES", 100)
    with pytest.raises(Invalid, match="bytes as JSON"):
        registry.put(CACHE, registry.snapshot().hijacks[0].id)


def test_changes_from_many_threads_are_all_kept_in_order(registry: Registry) -> None:
    seen: list[int] = []
    undo = registry.listen(lambda: seen.append(registry.snapshot().version))
    threads = [threading.Thread(target=lambda: [registry.put(CACHE) for _ in range(10)]) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(PATIENCE)
    undo()
    assert registry.snapshot().version == len(registry.snapshot().hijacks) == 80
    assert sorted(one["version"] for one in registry.audit(1000)) == list(range(1, 81))
    assert len(seen) == 80
    assert max(seen) == 80


def test_a_damaged_registry_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "h.db").write_bytes(b"no database" * 200)
    with pytest.raises(StoreError, match="move it away"):
        Registry(tmp_path / "h.db")


def test_an_agent_gets_the_set_at_once_and_after_every_change(collector: Running) -> None:
    first = collector.post("/api/hijacks", CACHE, 201)
    collector.post("/api/hijacks", {**CACHE, "service": "stock"}, 201)
    with collector.stream() as events:
        kind, data = next(events)
        assert (kind, data["version"]) == ("hijacks", 2)
        assert [parse_hijack(one).id for one in data["hijacks"]] == [first["id"]]
        added = collector.post("/api/hijacks", {**CACHE, "service": "shop", "target": "app:*"}, 201)
        kind, data = next(events)
        assert (data["version"], len(data["hijacks"])) == (3, 2)
        collector.client.put(f"/api/hijacks/{added['id']}", json={**CACHE, "target": "app:x"})
        assert [one["target"] for one in next(events)[1]["hijacks"]] == ["app:slow", "app:x"]
        collector.client.delete(f"/api/hijacks/{first['id']}")
        assert [one["target"] for one in next(events)[1]["hijacks"]] == ["app:x"]


def test_a_lease_that_ends_is_pushed(collector: Running) -> None:
    with collector.stream() as events:
        next(events)
        collector.post("/api/hijacks", {**CACHE, "expires_in": "300ms"}, 201)
        assert len(next(events)[1]["hijacks"]) == 1
        assert next(events)[1]["hijacks"] == []


def test_a_silent_stream_is_kept_alive_by_comments(collector: Running) -> None:
    collector.parts.streams._keep_alive = 0.05
    with collector.stream() as events:
        assert next(events)[0] == "hijacks"
        assert next(events)[0] == "comment"


def test_the_collector_stops_while_streams_are_open(start: Callable[..., Any]) -> None:
    with contextlib.ExitStack() as streams:
        with start() as collector:
            events = streams.enter_context(collector.stream())
            next(events)
        assert list(events) == []  # ended by the collector, not cut off


def test_a_stream_without_a_name_is_refused(shared: Running) -> None:
    reply = shared.client.get("/agent/v1/hijacks", params={"service": "shop"})
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "instance")


def test_a_function_is_attached_in_four_of_four_processes(collector: Running) -> None:
    for number in range(4):
        collector.report(
            f"i{number}", [function("app:slow"), function("app:late", "pending", reason="no such name yet")]
        )
    collector.report("i3", [function("app:late", "attached")], complete=False)
    collector.report("j1", [function("other:f")], service="stock")
    found = collector.get("/api/functions", service="shop")
    by_name = {one["function"]: one for one in found["functions"]}
    assert by_name["app:slow"]["summary"] == "attached in 4 of 4 processes"
    assert by_name["app:late"]["states"] == {"pending": 3, "attached": 1}
    assert by_name["app:late"]["reasons"] == ["no such name yet"]
    assert found["total"] == 2
    assert [one["function"] for one in collector.get("/api/functions", q="LATE")["functions"]] == ["app:late"]
    assert [one["function"] for one in collector.get("/api/functions", state="pending")["functions"]] == ["app:late"]
    assert [one["function"] for one in collector.get("/api/functions", offset=1, limit=1)["functions"]] == ["app:slow"]


def test_the_progress_of_a_hijack_names_every_failure(collector: Running) -> None:
    one = collector.post("/api/hijacks", CACHE, 201)
    assert one["progress"]["summary"] == "attached in 0 of 0 processes"
    mine = {"hijacks": [one["id"]], "strategies": ["cache"]}
    collector.report("i1", [function("app:slow", **mine)], version=1)
    collector.report("i2", [function("app:slow", "failed", reason="a generator cannot be cached", **mine)], version=1)
    collector.report("i3", [function("app:slow")], version=0)
    collector.report("s1", [function("app:slow")], service="other")
    progress = collector.get(f"/api/hijacks/{one['id']}")["progress"]
    assert (progress["processes"], progress["applied"], progress["attached"]) == (4, 2, 1)
    assert progress["functions"] == ["app:slow"]
    [failure] = progress["failures"]
    assert (failure["instance"], failure["reason"]) == ("i2", "a generator cannot be cached")


def test_a_process_without_the_module_has_answered_and_is_no_failure(collector: Running) -> None:
    one = collector.post("/api/hijacks", CACHE, 201)
    mine = {"hijacks": [one["id"]]}
    pending = function("app:slow", "pending", reason="no such module is loaded yet", **mine)
    for instance in ("master", "arbiter"):
        collector.report(instance, [pending], version=1)
    for instance in ("w1", "w2"):
        collector.report(instance, [function("app:slow", **mine)], version=1)
    progress = collector.get(f"/api/hijacks/{one['id']}")["progress"]
    assert progress["summary"] == "attached in 2 of 4 processes; 2 have not loaded the module"
    assert (progress["answered"], progress["not_loaded"], progress["failures"]) == (4, 2, [])
    [row] = collector.get("/api/functions")["functions"]
    assert row["summary"] == progress["summary"]


def test_a_process_that_cannot_answer_is_not_waited_for(collector: Running) -> None:
    one = collector.post("/api/hijacks", CACHE, 201)
    collector.report("ended", [function("app:slow")], version=0)
    with collector.stream(instance="listens") as events:
        next(events)
        collector.report("listens", [function("app:slow")], version=0)
        progress = collector.get(f"/api/hijacks/{one['id']}")["progress"]
        assert (progress["processes"], progress["answered"], progress["unreachable"]) == (2, 0, 1)
        collector.report("listens", [function("app:slow", "failed", reason="no", hijacks=[one["id"]])], version=1)
        progress = collector.get(f"/api/hijacks/{one['id']}")["progress"]
        assert (progress["processes"], progress["answered"], progress["unreachable"]) == (2, 1, 1)


def test_a_process_that_falls_silent_is_gone_after_a_minute_unless_it_listens() -> None:
    clock = Clock()
    fleet = Fleet(clock)
    close = fleet.connect("listens", "shop", "production")
    fleet.take(report("listens", [function("app:f")]))
    fleet.take(report("silent", [function("app:f")]))
    clock.now += GONE_AFTER + 1
    assert [one.instance for one in fleet.processes()] == ["listens"]
    close()
    assert [one.instance for one in fleet.processes()] == ["listens"]
    clock.now += GONE_AFTER + 1
    assert fleet.processes() == []
    assert fleet.functions() == []


def test_whoever_only_listens_is_not_a_process(collector: Running) -> None:
    with collector.stream(instance="doctor") as events:
        next(events)
        assert collector.get("/api/status")["processes"] == []
        assert collector.get("/api/status")["streams"] == 1


def test_closed_streams_are_forgotten(collector: Running) -> None:
    with collector.stream() as events:
        next(events)
    collector.parts.registry.put(CACHE)
    until(lambda: collector.get("/api/status")["streams"] == 0, "the end of the stream")


def test_a_complete_report_replaces_and_a_partial_one_adds() -> None:
    fleet = Fleet(Clock())
    fleet.take(report("i1", [function("a:f"), function("a:g")]))
    fleet.take(report("i1", [function("a:h", "failed")], complete=False))
    assert [one.function for one in fleet.functions()] == ["a:f", "a:g", "a:h"]
    fleet.take(report("i1", [function("a:g")]))
    assert [one.function for one in fleet.functions()] == ["a:g"]


def test_a_bad_report_is_refused_and_the_last_good_one_stays(collector: Running) -> None:
    collector.report("i1", [function("app:f")])
    for bad in ({"instance": "i1"}, [], {"functions": 5}):
        reply = collector.client.post("/agent/v1/report", json=bad)
        assert reply.status_code == 422
        assert set(reply.json()["error"]) == {"field", "value", "remedy"}
    assert collector.get("/api/functions")["total"] == 1


def test_many_agents_follow_a_burst_of_changes_to_the_last_version(collector: Running) -> None:
    last: dict[str, int] = {}
    ready = threading.Barrier(9)

    def agent(name: str) -> None:
        with collector.stream(instance=name) as events:
            next(events)
            ready.wait(PATIENCE)
            for kind, data in events:
                if kind == "hijacks":
                    last[name] = data["version"]
                    if data["version"] == 50:
                        return

    threads = [threading.Thread(target=agent, args=(f"i{number}",)) for number in range(8)]
    for one in threads:
        one.start()
    ready.wait(PATIENCE)
    for _ in range(50):
        collector.parts.registry.put(CACHE)
    for one in threads:
        one.join(PATIENCE)
    assert set(last.values()) == {50}
    assert len(last) == 8


def test_an_unknown_hijack_is_404(shared: Running) -> None:
    for method, path in (("GET", "x"), ("PUT", "x"), ("DELETE", "x")):
        body = CACHE if method == "PUT" else None
        reply = httpx.request(method, f"{shared.url}/api/hijacks/{path}", json=body, trust_env=False)
        assert reply.status_code == 404
        assert "no hijack 'x'" in reply.json()["error"]["message"]
