"""What the collector itself does, as traces that continue those of whoever asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import httpx2
import pytest
from kubernetes.config import ConfigException
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import RequestParamsMeta
from mystic_agent.contract import wire
from mystic_collector.sidecar.cluster import Cluster
from mystic_collector.sidecar.process import SidecarServer
from mystic_collector.sidecar.servers import KubernetesServers
from mystic_collector.sidecar.settings import SidecarSettings
from mystic_collector.tracing.tracing import SERVICE

from .conftest import PATIENCE, Running, running, until
from .messages import span, traces
from .receivers import free_port, tapping


def caused(trace: str, parent: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{parent}-01"}


def ids() -> tuple[str, str]:
    return secrets.token_hex(16), secrets.token_hex(8)


def spans_of(client: httpx.Client, trace: str) -> list[dict[str, Any]]:
    found = client.get(f"/api/traces/{trace}")
    spans: list[dict[str, Any]] = found.json()["spans"] if found.is_success else []
    return spans


@contextlib.contextmanager
def served(folder: Path, **env: str) -> Iterator[httpx.Client]:
    """Run 'mystic serve', as people do, and yield a client of it."""
    (folder / "project").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "OTEL_"))}
    given = {"PROJECT_ROOT": str(folder / "project"), "MYSTIC_DATA_DIR": str(folder / "data"), **env}
    port = free_port()
    command = [sys.executable, "-m", "mystic_agent.cli", "serve", "--port", str(port)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, env={**kept, **given}, stdout=log, stderr=log, cwd=folder)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE) as client:

            def healthy() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/health").is_success
                return False

            until(healthy, "the collector")
            yield client
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0, (folder / "log").read_text()


async def call(url: str, tool: str, arguments: dict[str, Any], trace: tuple[str, str]) -> None:
    """Call a tool of the chat as a client that traces."""
    headers = caused(*trace)
    async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
        async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result


def test_a_tool_of_the_chat_what_it_asks_and_who_called_it_are_one_trace_here_and_at_other_receivers(
    tmp_path: Path,
) -> None:
    port, trace = free_port(), ids()
    env = {"MYSTIC_FORWARD": f"http://127.0.0.1:{port}", "MYSTIC_FORWARD_COMPRESSION": "none"}
    with tapping(port) as tap, served(tmp_path, **env) as client:
        body = {"target": "shop:price", "stages": {"*": [{"cache": {"ttl": "30m"}}]}, "expires_in": "1h"}
        assert client.post("/api/hijacks", json=body).is_success
        asyncio.run(call(str(client.base_url).rstrip("/"), "list_hijacked_functions", {}, trace))
        named = {"POST /mcp", "tools/call list_hijacked_functions", "GET /api/hijacks", "GET /api/hijacks/stale"}
        until(lambda: named <= {one["name"] for one in spans_of(client, trace[0])}, "the whole trace")
        found = spans_of(client, trace[0])
        parents = {one["name"]: one["parent_id"] for one in found}
        [tool] = [one for one in found if one["name"] == "tools/call list_hijacked_functions"]
        assert parents["GET /api/hijacks"] == parents["GET /api/hijacks/stale"] == tool["span_id"]
        assert {one["parent_id"] for one in found if one["name"] == "POST /mcp"} == {trace[1]}
        assert {one["service"] for one in found} == {SERVICE}
        assert tool["attributes"]["mcp.method.name"] == "tools/call"
        of_it = {one["span_id"] for one in found}
        until(lambda: of_it <= {one.span_id.hex() for one in tap.spans}, "the same at the other receiver")
        assert [one.parent_span_id.hex() for one in tap.spans if one.name == tool["name"]] == [tool["parent_id"]]


def test_only_what_does_something_or_is_traced_already_is_traced(collector: Running) -> None:
    trace, parent = ids()
    sent = span("app:f")
    collector.get("/api/status")
    collector.client.get("/health", headers=caused(trace, parent))
    collector.client.post(
        wire.TRACES_PATH,
        content=traces(sent).SerializeToString(),
        headers={"content-type": "application/x-protobuf", **caused(trace, parent)},
    )
    collector.client.get("/api/hijacked/shop:price", headers=caused(trace, parent))
    collector.client.post("/api/hijacks", json={"target": 7})
    until(lambda: len(collector.get("/api/traces", service=SERVICE)["traces"]) == 2, "two traces")
    [one] = spans_of(collector.client, trace)
    assert one["name"] == "GET /api/hijacked/{function:path}"
    assert (one["parent_id"], one["attributes"]["http.response.status_code"]) == (parent, 404)
    names = [one["name"] for one in collector.get("/api/traces", service=SERVICE)["traces"]]
    assert sorted(names) == ["GET /api/hijacked/{function:path}", "POST /api/hijacks"]
    # Whoever asks for traces means those of the application.
    assert [one["trace_id"] for one in collector.get("/api/traces")["traces"]] == [sent.trace_id.hex()]


def test_a_caller_that_does_not_sample_is_not_traced_and_neither_is_anybody_where_it_is_off(tmp_path: Path) -> None:
    trace, parent = ids()
    (tmp_path / "off").mkdir()
    with running(tmp_path) as collector, running(tmp_path / "off", own_traces=False) as off:
        unsampled = {"traceparent": f"00-{trace}-{parent}-00"}
        collector.client.get("/api/status", headers=unsampled)
        off.client.get("/api/status", headers=caused(trace, parent))
        off.client.post("/api/hijacks", json={"target": 7})
        collector.client.post("/api/hijacks", json={"target": 7})
        until(lambda: collector.get("/api/traces", service=SERVICE)["traces"], "the one that is")
        assert len(collector.get("/api/traces", service=SERVICE)["traces"]) == 1
        assert off.get("/api/status")["ingest"]["accepted"] == 0


@pytest.mark.parametrize("broken", ["", "00-xyz-1-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 10_000])
def test_a_damaged_trace_context_begins_a_trace_of_its_own(shared: Running, broken: str) -> None:
    assert shared.client.get("/api/status", headers={"traceparent": broken}).status_code == 200


MYSTIC = [sys.executable, "-m", "mystic_agent.cli"]


async def say(
    log: Path, port: int, tool: str, trace: tuple[str, str], arguments: dict[str, Any] | None = None, **env: str
) -> bool:
    """Call a tool of the chat on standard input and output; True when it could be done.

    Args:
        log: where its standard error goes.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MYSTIC_", "OTEL_"))}
    given = {**kept, "MYSTIC_PORT": str(port), **env}
    server = StdioServerParameters(command=MYSTIC[0], args=[*MYSTIC[1:], "mcp"], env=given)
    with log.open("w") as errors:
        async with Client(stdio_client(server, errlog=errors)) as client:
            meta = cast(RequestParamsMeta, caused(*trace))
            return not (await client.call_tool(tool, arguments or {}, meta=meta)).is_error


def test_the_chat_on_standard_output_is_in_the_trace_of_its_caller_and_so_is_what_it_asks(tmp_path: Path) -> None:
    trace, unseen, log = ids(), ids(), tmp_path / "log"
    with running(tmp_path, api_key="open-sesame") as collector:
        collector.client.headers["X-Mystic-Key"] = "open-sesame"
        port = int(collector.url.rpartition(":")[2])
        assert asyncio.run(say(log, port, "list_hijacked_functions", trace, MYSTIC_API_KEY="open-sesame"))
        named = {"tools/call list_hijacked_functions", "GET /api/hijacks"}
        until(lambda: named <= {one["name"] for one in spans_of(collector.client, trace[0])}, "the whole trace")
        found = {one["name"]: one for one in spans_of(collector.client, trace[0])}
        tool = found["tools/call list_hijacked_functions"]
        assert (tool["parent_id"], tool["service"]) == (trace[1], SERVICE)
        assert found["GET /api/hijacks"]["parent_id"] == tool["span_id"]

        off = {"MYSTIC_API_KEY": "open-sesame", "MYSTIC_OWN_TRACES": "false"}
        assert asyncio.run(say(log, port, "list_hijacked_functions", unseen, **off))
        assert spans_of(collector.client, unseen[0]) == []
    assert log.read_text() == ""


def test_without_a_collector_the_chat_on_standard_output_goes_on_as_quietly_as_ever(tmp_path: Path) -> None:
    assert not asyncio.run(say(tmp_path / "log", free_port(), "mystic_status", ids()))
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize(("path", "answer"), [(wire.TRACES_PATH, 200), (wire.METRICS_PATH, 401), ("/api/init", 401)])
def test_the_sidecar_may_tell_its_part_of_a_trace_by_the_shared_token_and_nothing_else(
    tmp_path: Path, path: str, answer: int
) -> None:
    token = tmp_path / "token"
    with running(tmp_path, api_key="open-sesame", sidecar_token_file=token) as collector:

        def told(by: str) -> int:
            known = {"Authorization": f"Bearer {by}"} if by else {}
            headers = {"content-type": "application/x-protobuf", **known}
            body = traces(span("app:f")).SerializeToString()
            return collector.client.post(path, content=body, headers=headers).status_code

        assert (told(""), told("shared-by-two")) == (401, 401)
        token.write_text("shared-by-two\n")
        assert (told("shared-by-two"), told("shared-by-twa"), told("")) == (answer, 401, 401)


def test_a_sidecar_continues_the_traces_of_its_collector_and_begins_none(tmp_path: Path) -> None:
    trace, parent = ids()
    token = tmp_path / "token"
    with running(tmp_path, api_key="open-sesame", sidecar_token_file=token) as collector:
        collector.client.headers["X-Mystic-Key"] = "open-sesame"
        port = int(collector.url.rpartition(":")[2])
        unplaced = Cluster("archon", configure=nowhere)
        settings = SidecarSettings(port=0, token_file=token, collector_port=port)
        server = SidecarServer(settings, KubernetesServers(settings, {"": unplaced}))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert server.ready.wait(PATIENCE)
            known = {"Authorization": f"Bearer {token.read_text()}"}
            url = "http://{}:{}".format(*server.address)
            with httpx.Client(base_url=url, trust_env=False, headers=known) as beside:
                assert not beside.post("/mcp/start", json={"name": "probe"}).is_success
                assert beside.get("/mcp/health", headers=caused(trace, parent)).json()["healthy"] is False
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()
        [one] = until(lambda: spans_of(collector.client, trace), "its part")
        assert (one["name"], one["parent_id"], one["service"]) == ("GET /mcp/health", parent, SERVICE)
        assert len(collector.get("/api/traces", service=SERVICE)["traces"]) == 1


def nowhere(context: str) -> Any:
    raise ConfigException("there is no cluster here")
