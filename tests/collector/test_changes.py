"""What surrounds a change of the hijacks: leases, versions, undo, conflicts, audit, dry run, switch, staleness."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.report import KINDS
from mystic_agent.contract.strategy import parse_strategy
from mystic_collector.hijacks import journal as journals
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.policy import DAY, WEEK, Forbidden, Policy, ends_soon
from mystic_collector.hijacks.registry import Registry
from mystic_collector.hijacks.stale import MISSES_THAT_TELL, Use, stale
from mystic_collector.hijacks.trial import refusal
from mystic_collector.store.protocol import StoreError
from mystic_collector.store.records import CountPoint, Incoming, Resource

from .conftest import Running
from .test_hijacks import Clock, function

CACHE = {"target": "app:slow", "stages": {"*": [{"cache": {"ttl": "30m"}}]}}
MOCK = {"target": "app:slow", "stages": {"*": [{"mock": {"value": 1}}]}}
OBSERVE = {"target": "app:slow", "stages": {"*": ["observe", "log"]}}
ATTACHED = {"processes": 1, "answered": 1, "attached": 1, "failures": []}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Any:
    with contextlib.closing(Registry(tmp_path / "hijacks.db", clock)) as found:
        yield found


def targets(registry: Registry) -> list[str]:
    return [str(one.target) for one in registry.snapshot().hijacks]


# -- leases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        (CACHE, 1000 + WEEK),
        ({**CACHE, "expires_in": None, "expires_at": None}, 1000 + WEEK),
        ({**CACHE, "expires_in": "never"}, None),
        ({**CACHE, "expires_in": "1h"}, 4600),
        (OBSERVE, None),
        ({**OBSERVE, "stages": {"production": ["observe"], "*": [{"mock": {"value": 1}}]}}, 1000 + WEEK),
    ],
)
def test_a_change_of_behaviour_ends_after_a_week_unless_something_else_is_said(
    registry: Registry, fields: dict[str, Any], ends: float | None
) -> None:
    assert registry.put(fields).expires_at == ends


def test_a_lease_is_renewed_and_its_last_tenth_is_said(registry: Registry, clock: Clock) -> None:
    one = registry.put({**CACHE, "expires_in": "10h"})
    clock.now += 8.9 * 3600
    assert not ends_soon(one, clock.now)
    clock.now += 0.2 * 3600
    assert ends_soon(one, clock.now)
    assert registry.renew(one.id, actor="ann").expires_at == clock.now + WEEK
    assert registry.renew(one.id, "never").expires_at is None
    with pytest.raises(Invalid, match="or say 'never'"):
        registry.renew(one.id, "soon")
    with pytest.raises(KeyError):
        registry.renew("nobody")
    assert [one["action"] for one in registry.audit()] == ["renew", "renew", "add"]


# -- versions ---------------------------------------------------------------------------------------------------------


def test_any_version_can_be_looked_at_compared_and_brought_back(registry: Registry, clock: Clock) -> None:
    first = registry.put({**CACHE, "target": "app:a"})
    clock.now += 1
    registry.put({**CACHE, "target": "app:b"})
    registry.put({**MOCK, "target": "app:a"}, first.id)
    registry.remove(first.id)
    assert [sorted(one["target"] for one in registry.at(version).values()) for version in range(5)] == [
        [],
        ["app:a"],
        ["app:a", "app:b"],
        ["app:a", "app:b"],
        ["app:b"],
    ]
    back, changes, left_out = registry.undo(2, "ann")
    assert (back, len(changes), left_out) == (2, 1, [])
    assert targets(registry) == ["app:a", "app:b"]  # the older one is outermost again
    assert registry.snapshot().hijacks[0] == first
    assert [(one["action"], one["actor"], one["note"]) for one in registry.audit(1)] == [
        ("undo", "ann", "back to version 2")
    ]
    registry.undo()
    assert targets(registry) == ["app:b"]  # undoing is undone as well
    with pytest.raises(Invalid, match="nothing would change"):
        registry.undo(4)
    with pytest.raises(Invalid, match="from 0 to 6"):
        registry.undo(99)


def test_a_dry_run_of_undo_changes_nothing_and_an_empty_history_has_nothing_to_undo(registry: Registry) -> None:
    with pytest.raises(Invalid, match="no change to undo"):
        registry.undo()
    registry.put(CACHE)
    assert registry.undo(dry_run=True)[0] == 0
    assert (registry.snapshot().version, len(registry.audit())) == (1, 1)


def test_a_lease_that_has_ended_does_not_come_back_and_is_named(registry: Registry, clock: Clock) -> None:
    registry.put({**CACHE, "target": "app:short", "expires_in": "1h"})
    registry.put({**CACHE, "target": "app:long"})
    registry.remove(registry.snapshot().hijacks[1].id)
    clock.now += 7200
    registry.expire()
    _, changes, left_out = registry.undo(2)
    assert [one.after["target"] for one in changes if one.after] == ["app:long"]
    assert "app:short is left out: its lease has ended" in left_out[0]


def test_an_earlier_version_is_judged_by_the_rules_of_today(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "h.db"
    with contextlib.closing(Registry(path, clock)) as registry:
        registry.put(MOCK)
        clock.now += 1
        registry.put({**CACHE, "target": "app:other"})
    with contextlib.closing(Registry(path, clock, Policy(allowed=frozenset({"cache"})))) as registry:
        assert targets(registry) == ["app:other"]
        assert registry.audit()[0]["action"] == "forbid"
        with pytest.raises(Forbidden, match="mock is not among MYSTIC_ALLOWED_STRATEGIES"):
            registry.undo(2, "mallory")
        [denied] = registry.audit(action="denied")
        assert (denied["actor"], denied["after"]["target"]) == ("mallory", "app:slow")
        with pytest.raises(Forbidden):
            registry.put(MOCK)
        assert len(registry.audit(action="denied")) == 2
    with contextlib.closing(Registry(path, clock)) as registry:
        registry.undo(2)
        assert targets(registry) == ["app:slow", "app:other"]


def test_a_planted_hijack_of_what_guards_secrets_is_taken_out_and_does_not_come_back(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "h.db"
    with contextlib.closing(Registry(path, clock)) as registry:
        body = registry.put({**MOCK, "target": "app:hmac"}).to_json()
    planted = json.dumps({**body, "target": "hmac:compare_digest"})
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("update hijacks set body = ?", (planted,))
        database.execute("update audit set after = ?", (planted,))
    with contextlib.closing(Registry(path, clock)) as registry:
        assert targets(registry) == []
        secret = {**MOCK, "target": "ssl:*"}
        for attempt in (registry.undo, lambda: registry.undo(1), lambda: registry.put(secret)):
            with pytest.raises(Forbidden, match="guards secrets"):
                attempt()
        assert len(registry.audit(action="denied")) == 3
        assert targets(registry) == []


def test_who_decided_on_an_older_state_is_told_the_current_one(registry: Registry) -> None:
    one, other = registry.put(CACHE), registry.put({**CACHE, "target": "app:other"})
    registry.put({**CACHE, "reason": "mine"}, one.id, seen=2)
    for late in (
        lambda: registry.put(CACHE, one.id, seen=2),
        lambda: registry.remove(one.id, seen=2),
        lambda: registry.renew(one.id, seen=2),
        lambda: registry.undo(seen=2),
    ):
        with pytest.raises(Conflict) as caught:
            late()
        assert caught.value.version == 3
    assert caught.value.current is None
    registry.put({**CACHE, "reason": "another"}, other.id, seen=2)  # nobody has changed this one since
    assert registry.snapshot().version == 4


def test_what_cannot_be_written_changes_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    one = registry.put(CACHE)
    registry._journal._db.execute("pragma query_only = on")
    for attempt in (
        lambda: registry.put(CACHE),
        lambda: registry.remove(one.id),
        lambda: registry.renew(one.id),
        lambda: registry.undo(),
        lambda: registry.switch(True),
    ):
        with pytest.raises(StoreError, match="check disk space"):
            attempt()
    registry._journal._db.execute("pragma query_only = off")
    assert (registry.snapshot().version, registry.snapshot().off, targets(registry)) == (1, {}, ["app:slow"])
    registry.remove(one.id)
    assert [entry["version"] for entry in registry.audit()] == [2, 1]


def test_a_hijack_that_this_release_cannot_read_is_named_and_stays_in_the_file(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "h.db"
    with contextlib.closing(Registry(path, clock)) as registry:
        one = registry.put(CACHE)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("""update hijacks set body = replace(body, '"cache"', '"teleport"')""")
    for _ in range(2):
        with contextlib.closing(Registry(path, clock)) as registry:
            [(identity, reason)] = registry.unread
            assert (identity, targets(registry)) == (one.id, [])
            assert "unknown strategy" in reason
            registry.put({**CACHE, "target": "app:new"})
            registry.remove(registry.snapshot().hijacks[0].id)


def test_the_history_is_bounded_and_says_where_it_begins(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MOST_ROWS", 5)
    monkeypatch.setattr(journals, "MOST_REFUSED", 3)
    for number in range(20):
        registry.put({**CACHE, "target": f"app:f{number}"})
        with pytest.raises(Forbidden):
            registry.put({**MOCK, "target": "ssl:*", "reason": "x" * 400})
    assert len(registry.audit(100, action="denied")) == 3
    assert len(registry.audit(100)) <= 8
    with pytest.raises(Invalid, match=r"from 1[0-9] to 20"):
        registry.at(2)
    monkeypatch.setattr(journals, "MOST_ROW_BYTES", 1)
    registry.put(CACHE)
    assert registry.oldest() >= 20


# -- over HTTP --------------------------------------------------------------------------------------------------------


def test_history_diff_undo_and_audit_over_http_name_who_did_what(collector: Running) -> None:
    collector.client.headers["X-Mystic-Actor"] = "J%C3%BCrgen"
    one = collector.post("/api/hijacks", {**CACHE, "owner": "ann"}, 201)
    changed = {**CACHE, "stages": {"*": [{"cache": {"ttl": "1h"}}]}, "owner": "ann"}
    assert collector.client.put(f"/api/hijacks/{one['id']}", json=changed).status_code == 200
    history = collector.get("/api/hijacks/history")
    assert [(row["version"], row["action"], row["actor"]) for row in history["history"]] == [
        (2, "replace", "Jürgen"),
        (1, "add", "Jürgen"),
    ]
    page = collector.get("/api/hijacks/history", limit=1)
    assert page["next"] == 2
    assert collector.get("/api/hijacks/history", limit=1, before=2)["history"][0]["version"] == 1
    diff = collector.get("/api/hijacks/diff")
    assert "  - stages.*[0].cache.ttl: 1800.0\n  + stages.*[0].cache.ttl: 3600.0" in diff["text"]
    assert {field["field"] for field in diff["changes"][0]["fields"]} >= {"stages"}
    assert collector.get("/api/hijacks/diff", **{"from": 0, "to": 1})["changes"][0]["change"] == "added"
    assert collector.post("/api/hijacks/undo?dry_run=true", {})["dry_run"] is True
    done = collector.post("/api/hijacks/undo", {})
    assert (done["to"], done["version"]) == (1, 3)
    assert collector.get(f"/api/hijacks/{one['id']}")["stages"]["*"][0]["cache"]["ttl"] == 1800
    first = collector.get("/api/audit", limit=2)
    second = collector.get("/api/audit", limit=2, before=first["next"])
    assert [row["action"] for row in first["audit"] + second["audit"]] == ["undo", "replace", "add"]
    assert second["next"] is None
    assert collector.client.post("/api/hijacks/undo", json={"to": "first"}).status_code == 422


def test_a_conflict_is_409_with_the_current_version(collector: Running) -> None:
    one = collector.post("/api/hijacks", CACHE, 201)
    seen = {"If-Match": collector.client.get(f"/api/hijacks/{one['id']}").headers["etag"]}
    path = f"/api/hijacks/{one['id']}"
    assert collector.client.put(path, json={**CACHE, "reason": "first"}, headers=seen).status_code == 200
    late = collector.client.put(path, json={**CACHE, "reason": "second"}, headers=seen)
    assert (late.status_code, late.json()["version"], late.json()["current"]["reason"]) == (409, 2, "first")
    assert collector.client.delete(path, headers=seen).status_code == 409
    assert collector.client.post("/api/hijacks/undo", json={}, headers=seen).status_code == 409
    assert collector.client.delete(path, headers={"If-Match": "soon"}).status_code == 422
    assert collector.client.delete(path, headers={"If-Match": "*"}).status_code == 200


def test_a_dry_run_tells_what_would_match_what_is_in_force_and_what_is_refused(collector: Running) -> None:
    there = collector.post("/api/hijacks", {**CACHE, "target": "app:slow"}, 201)
    cached = function("app:slow", strategies=["observe", "cache"], hijacks=[there["id"]])
    collector.report("i1", [cached, function("app:items") | {"kind": "generator"}, function("other:f")], version=1)
    limited = {"allowed_strategies": ["log"], "allow": []}
    collector.report("i2", [function("app:slow")], version=1, status=limited)
    before = collector.get("/api/audit")
    tried = collector.post("/api/hijacks?dry_run=true", {**CACHE, "target": "app:*"})
    assert tried["summary"] == "1 function in 1 of 2 processes; refused 2 times"
    first, second = tried["processes"]
    assert [(one["function"], one["outcome"], one["in_force"]) for one in first["matches"]] == [
        ("app:slow", "attach", ["cache"]),
        ("app:items", "refused", []),
    ]
    assert "generator" in first["matches"][1]["reason"]
    assert "MYSTIC_ALLOWED_STRATEGIES" in second["matches"][0]["reason"]
    assert collector.client.post("/api/hijacks?dry_run=true", json={**MOCK, "target": "ssl:*"}).status_code == 422
    assert collector.client.put(f"/api/hijacks/{there['id']}?dry_run=true", json=MOCK).json()["dry_run"] is True
    assert collector.get("/api/audit") == before
    assert collector.get("/api/hijacks")["version"] == 1


def test_the_switch_is_part_of_what_agents_are_sent_and_of_health(collector: Running) -> None:
    collector.post("/api/hijacks", CACHE, 201)
    with collector.stream() as events:
        assert next(events)[1]["off"] is False
        done = collector.post("/api/off", {"reason": "incident"})
        assert (done["changed"], done["off"]["*"]["reason"]) == (True, "incident")
        told = next(events)[1]
        assert (told["off"], told["hijacks"]) == (True, [])
        assert collector.post("/api/off", {})["changed"] is False
        assert collector.get("/health")["off"] == ["*"]
        assert collector.get("/api/hijacks")["hijacks"][0]["off"] is True
        assert collector.client.post("/api/on", json={"service": "shop"}).status_code == 422
        collector.post("/api/on", {})
        told = next(events)[1]
        assert (told["off"], len(told["hijacks"])) == (False, 1)
    collector.post("/api/off", {"service": "stock"})
    assert collector.get("/health")["off"] == ["stock"]
    assert [one["action"] for one in collector.get("/api/audit")["audit"]] == ["off", "on", "off", "add"]
    assert collector.post("/api/hijacks/undo", {})["to"] == 0  # the switch is no change of a hijack
    assert collector.get("/health")["off"] == ["stock"]


def test_a_strategy_that_is_not_allowed_is_refused_at_every_door(start: Any) -> None:
    with start(allowed_strategies=frozenset({"cache"})) as collector:
        one = collector.post("/api/hijacks", CACHE, 201)
        for method, path, body in (
            ("POST", "/api/hijacks", MOCK),
            ("PUT", f"/api/hijacks/{one['id']}", MOCK),
            ("POST", "/api/functions/hijack", {"function": "app:slow", "strategy": "mock"}),
        ):
            reply = collector.client.request(method, path, json=body)
            assert (reply.status_code, "MYSTIC_ALLOWED_STRATEGIES" in reply.json()["error"]["remedy"]) == (422, True)
        assert collector.get("/api/audit", refused="true")["count"] == 3


def test_stale_hijacks_are_listed_with_the_reason_and_the_command(collector: Running) -> None:
    source = collector.parts.settings.project_root / "app.py"
    source.write_text("def slow():\n    return 1\n")
    one = collector.post("/api/hijacks", CACHE, 201)
    assert collector.get("/api/hijacks/stale")["stale"] == []
    source.write_text('def slow():\n    """Layout and words are not the code."""\n\n    return 1\n')
    assert collector.get("/api/hijacks/stale")["stale"] == []
    source.write_text("def slow():\n    return 2\n")
    [row] = collector.get("/api/hijacks/stale")["stale"]
    [reason] = row["reasons"]
    assert (reason["kind"], reason["command"]) == ("source_changed", f"mystic release {one['id']}")
    collector.post(f"/api/hijacks/{one['id']}/renew", {})  # looked at, and still wanted
    assert collector.get("/api/hijacks/stale")["stale"] == []


# -- pure -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "progress", "uses", "kinds"),
    [
        (DAY, {}, [Use("app:slow", 1000 + DAY)], []),
        (8 * DAY, {}, [Use("app:slow", 1000 + 8 * DAY)], []),
        (8 * DAY, {}, [Use("app:slow", 1000.0)], ["unused"]),
        (8 * DAY, {}, [], ["unused"]),
        (DAY, {"attached": 0, "failures": [{"reason": "no such function"}]}, [], ["missing"]),
        (30, {"attached": 0}, [], []),
        (DAY, {"attached": 0, "processes": 0, "answered": 0}, [], []),
        (DAY, {"attached": 0, "answered": 0}, [], []),
        (DAY, {}, [Use("app:slow", 1000 + DAY, 0, 100)], ["no_effect"]),
        (DAY, {}, [Use("app:slow", 1000 + DAY, 1, 100)], []),
        (DAY, {}, [Use("app:slow", 1000 + DAY, 0, 99)], []),
        (29.5 * DAY, {}, [Use("app:slow", 1000 + 29.5 * DAY)], ["ends_soon"]),
    ],
)
def test_a_hijack_is_stale_for_a_reason(
    registry: Registry, age: float, progress: dict[str, Any], uses: list[Use], kinds: list[str]
) -> None:
    one = registry.put({**CACHE, "expires_in": "30d"})
    assert [found.kind for found in stale(one, 1000 + age, {**ATTACHED, **progress}, uses, {}, {})] == kinds


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_what_a_dry_run_calls_refused_is_what_the_agent_refuses(kind: str) -> None:
    observed = parse_strategy("observe", "s")
    cached = parse_strategy({"cache": {}}, "s")
    assert refusal([observed], "app:f", kind, None) == ""
    refused = refusal([observed, cached], "app:f", kind, None)
    assert bool(refused) == (kind in ("generator", "async_generator", "native"))
    assert "made anew at each call" in refusal([cached], "app:f.<locals>.g", "function", None)
    assert "guards secrets" in refusal([cached], "hmac:new", "function", None)
    redirected = parse_strategy({"redirect": {"to": "elsewhere:g"}}, "s")
    assert bool(refusal([redirected], "app:f", "function", None, frozenset({"app"})))
    assert not refusal([redirected], "app:f", "function", None, frozenset({"elsewhere"}))


def test_a_stale_cache_is_one_that_spared_no_call_whatever_else_it_counted(collector: Running) -> None:
    collector.post("/api/hijacks", CACHE, 201)
    source, function = Resource("shop", "a", "production", "{}"), CACHE["target"]

    def counted(**decisions: int) -> list[str]:
        told = [CountPoint(function, 1, 5, count, "cache", name) for name, count in decisions.items()]
        collector.parts.store.write([Incoming(source, counts=told)])
        return [one["kind"] for row in collector.get("/api/hijacks/stale")["stale"] for one in row["reasons"]]

    assert counted(miss=MISSES_THAT_TELL, kept_out=MISSES_THAT_TELL) == ["no_effect"]
    assert counted(joined=1) == []
