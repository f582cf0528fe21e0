"""One collector of a fleet, over real sockets: what it is told, what it says, and a server that hangs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract.errors import Invalid
from mystic_collector.injection.certificate import certificate
from mystic_collector.meeting import Meeting
from mystic_collector.settings import load
from mystic_collector.store.records import CountPoint, Incoming, Resource

from tests.collector.conftest import Running, running, until

from .server import Server, free_port

MOCK = {"target": "app:slow", "stages": {"*": [{"mock": {"value": 1}}]}, "owner": "ada"}


@pytest.fixture
def pair(tmp_path: Path, server: Server) -> Iterator[tuple[Running, Running]]:
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            meeting = Meeting("127.0.0.1", server.port, name=name)
            found.append(stack.enter_context(running(tmp_path / name, fleet=meeting, servers="off")))
        yield found[0], found[1]


def finding(collector: Running) -> Any:
    return [one for one in collector.get("/api/doctor")["findings"] if one["about"] == "fleet"]


def test_what_a_process_tells_one_collector_every_answer_of_the_other_has(pair: tuple[Running, Running]) -> None:
    a, b = pair
    made = a.post("/api/hijacks", MOCK, 201)
    function = {"function": "app:slow", "state": "attached", "kind": "function", "file": "/app.py", "line": 3}
    told = {**function, "hijacks": [made["id"]], "strategies": ["mock"]}
    a.report("one", [told], version=1)
    b.report("two", [function], version=1)
    until(lambda: len(b.get("/api/status")["processes"]) == len(a.get("/api/status")["processes"]) == 2)
    [row] = b.get("/api/functions")["functions"]
    assert row["summary"] == "attached in 2 of 2 processes"
    assert {one["instance"]: one["collector"] for one in row["instances"]} == {"one": "a", "two": "b"}
    assert b.get(f"/api/hijacks/{made['id']}")["progress"]["attached"] == 1
    assert b.get("/api/hijacked")["hijacked_functions"][0]["states"] == {"attached": 2}
    b.report("two", [{**told, "state": "failed", "reason": "no room"}], version=1)
    failures = until(lambda: a.get(f"/api/hijacks/{made['id']}")["progress"]["failures"])
    assert [(one["instance"], one["collector"], one["reason"]) for one in failures] == [("two", "b", "no room")]
    a.report("two", [told], version=1)  # it has come here
    until(lambda: len(b.get("/api/status")["processes"]) == 2)
    assert a.get("/api/functions")["functions"][0]["states"] == {"attached": 2}
    assert finding(a)[0] == {"about": "fleet", "verdict": "ok", "detail": f"with b at {a.parts.settings.fleet.shown}"}


def test_a_stream_hears_of_a_change_at_the_other_collector(pair: tuple[Running, Running]) -> None:
    a, b = pair
    with b.stream() as events:
        assert next(events)[1]["hijacks"] == []
        made = a.post("/api/hijacks", MOCK, 201)
        assert next(each for kind, each in events if kind == "hijacks")["hijacks"][0]["id"] == made["id"]


def test_a_collector_that_ends_takes_its_processes_along_at_once(pair: tuple[Running, Running], tmp_path: Path) -> None:
    a, b = pair
    meeting = Meeting("127.0.0.1", a.parts.settings.fleet.port, name="c")
    (tmp_path / "c").mkdir()
    with running(tmp_path / "c", fleet=meeting, servers="off") as c:
        c.report("three", [])
        until(lambda: b.get("/api/status")["processes"])
    assert b.get("/api/status")["fleet"]["collectors"][0] == {"name": "b", "processes": 0, "here": True}
    until(lambda: not b.get("/api/status")["processes"])


def test_a_server_that_hangs_holds_nothing_up_but_changes(pair: tuple[Running, Running], server: Server) -> None:
    a, _ = pair
    a.post("/api/hijacks", MOCK, 201)
    server.stop_answering()
    try:
        late = threading.Thread(target=lambda: a.client.post("/api/hijacks", json=MOCK))
        late.start()
        with a.stream(instance="new") as events:
            assert len(next(events)[1]["hijacks"]) == 1
            for _ in range(20):
                assert a.get("/health")["status"] == "ok"
                a.report("new", [], version=1)
        late.join()
        refused = a.client.post("/api/hijacks", json=MOCK)
        assert refused.status_code == 503
        assert "MYSTIC_FLEET_PASSWORD_FILE" in refused.json()["error"]["message"]
        assert finding(a)[0]["verdict"] == "fail"
        assert a.client.get("/api/cache/f/k").status_code == 503
    finally:
        server.go_on()
    until(lambda: a.client.post("/api/hijacks", json=MOCK).status_code == 201)
    until(lambda: finding(a)[0]["verdict"] == "ok")


def test_a_lease_that_ends_while_the_server_is_away_is_tried_again_in_peace(
    pair: tuple[Running, Running], server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = pair
    made = a.post("/api/hijacks", {**MOCK, "expires_in": "1s"}, 201)
    until(lambda: b.get("/api/hijacks")["count"])
    server.kill()
    with caplog.at_level(logging.WARNING):
        until(lambda: time.time() > made["expires_at"] + 1.0)
        said = [one for one in caplog.records if "leases could not be ended" in one.getMessage()]
        assert 1 <= len(said) <= 2  # once each
        warned = [one for one in caplog.records if one.levelno == logging.WARNING and "does not answer" in one.message]
        assert len(warned) == 2  # each collector once, however often it has tried
        server.start()
        until(lambda: not a.get("/api/hijacks")["count"] and not b.get("/api/hijacks")["count"])
        until(lambda: caplog.text.count("answers again") == 2)
    assert [one["action"] for one in a.get("/api/audit")["audit"]] == ["expire", "add"]


def test_a_wrong_password_is_named_and_shown_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder, "--requirepass", "right")
    server.start()
    try:
        meeting = Meeting("127.0.0.1", server.port, user="ada", password="wrong-canary")
        with running(tmp_path, fleet=meeting, servers="off") as one:
            refused = one.client.post("/api/hijacks", json=MOCK)
            assert refused.status_code == 503
            told = refused.text + one.client.get("/api/status").text + one.client.get("/api/doctor").text
            assert "it refuses the password" in told
            assert "canary" not in told + repr(one.parts.settings)
    finally:
        server.kill()


def test_a_server_that_gives_hijacks_up_for_room_is_warned_of(pair: tuple[Running, Running]) -> None:
    a, _ = pair
    assert a.parts.membership is not None
    a.parts.membership.server.ask(lambda client: client.config_set("maxmemory-policy", "allkeys-lru"))
    assert finding(a)[0]["verdict"] == "warn"
    assert "noeviction" in finding(a)[0]["detail"]


def test_over_tls_a_server_is_believed_whose_certificate_is_trusted_and_no_other(tmp_path: Path) -> None:
    made, port, folder = certificate(["localhost"]), free_port(), tmp_path / "server"
    folder.mkdir()
    for name, content in (("cert.pem", made.pem), ("key.pem", made.secret), ("other.pem", certificate(["x"]).pem)):
        (folder / name).write_bytes(content)
    files = ["--tls-cert-file", str(folder / "cert.pem"), "--tls-key-file", str(folder / "key.pem")]
    server = Server(folder, "--tls-port", str(port), "--tls-auth-clients", "no", *files)
    server.start()
    try:
        for authority, status in (("cert.pem", 201), ("other.pem", 503)):
            meeting = Meeting("localhost", port, secure=True, ca_file=folder / authority)
            with running(tmp_path, data_dir=tmp_path / authority, fleet=meeting, servers="off") as one:
                assert one.client.post("/api/hijacks", json=MOCK).status_code == status
    finally:
        server.kill()


# -- what it is told --------------------------------------------------------------------------------------------------


def test_the_settings_name_a_server_and_hide_its_password(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary\n")
    env = {"MYSTIC_FLEET": "rediss://ada@redis.svc/3", "MYSTIC_FLEET_PASSWORD_FILE": str(secret)}
    found = load({**env, "MYSTIC_FLEET_PREFIX": "staging", "MYSTIC_FLEET_NAME": "pod-1"}, tmp_path).fleet
    assert found is not None
    assert (found.host, found.port, found.db, found.secure, found.user) == ("redis.svc", 6379, 3, True, "ada")
    assert (found.password, found.prefix, found.name, found.shown) == (
        "canary",
        "staging",
        "pod-1",
        "rediss://redis.svc:6379/3",
    )
    assert "canary" not in repr(found)
    assert load({}, tmp_path).fleet is None
    inner = load({"MYSTIC_FLEET": "redis://[::1]:7000"}, tmp_path).fleet
    assert inner is not None
    assert (inner.host, inner.port, inner.shown) == ("::1", 7000, "redis://[::1]:7000/0")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MYSTIC_FLEET", "redis.svc:6379"),
        ("MYSTIC_FLEET", "http://redis.svc"),
        ("MYSTIC_FLEET", "redis://ada:canary@redis.svc"),
        ("MYSTIC_FLEET", "redis://redis.svc:99999"),
        ("MYSTIC_FLEET", "redis://redis.svc/0?password=x"),
        ("MYSTIC_FLEET_PREFIX", "a b"),
        ("MYSTIC_FLEET_NAME", "x" * 101),
        ("MYSTIC_FLEET_CA_FILE", "/no/such/file"),
        ("MYSTIC_FLEET_PASSWORD_FILE", "/no/such/file"),
        ("MYSTIC_FLEET_PASSWORD_FILE", "/dev/null"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Invalid) as caught:
        load({"MYSTIC_FLEET": "redis://localhost", name: value}, tmp_path)
    assert caught.value.field == name
    assert "canary" not in str(caught.value)


def test_a_hijack_is_not_stale_whose_calls_another_collector_counts(pair: tuple[Running, Running]) -> None:
    a, b = pair
    cache = {"target": "app:slow", "stages": {"*": [{"cache": {"ttl": "1h"}}]}, "owner": "ada"}
    a.post("/api/hijacks", cache, 201)
    resource = Resource("shop", "i1", "production", "{}")
    now = time.time_ns()
    missed = [CountPoint("app:slow", now - 10**9, now, 500, "cache", "miss")]
    a.parts.writer.offer([Incoming(resource, counts=missed)])
    a.settle()
    until(lambda: [one["kind"] for one in stale(a)] == ["no_effect"])
    until(lambda: [one["kind"] for one in stale(b)] == ["no_effect"])
    hit = [CountPoint("app:slow", now - 10**9, now, 7, "cache", "hit")]
    b.parts.writer.offer([Incoming(resource, counts=hit)])
    b.settle()
    until(lambda: not stale(a) and not stale(b))


def stale(collector: Running) -> list[Any]:
    found = collector.get("/api/hijacks/stale")["stale"]
    return [reason for one in found for reason in one["reasons"]]
