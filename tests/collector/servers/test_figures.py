"""What is counted about managed servers, and that the API and the store show it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mystic_collector.servers.counted import CountedServers
from mystic_collector.servers.errors import NameTaken
from mystic_collector.servers.figures import Figures

from ..conftest import Running, running
from .contract import Laboratory, eventually, settled
from .memory import MemoryLaboratory
from .test_gateway import served, until_none_is_open


def value(figures: Figures, metric: str, **attributes: str) -> Any:
    """Return the figure of one metric; a histogram's count."""
    found = [row for row in figures.rows() if (row["metric"], row["attributes"]) == (metric, attributes)]
    return found[0].get("count", found[0]["value"]) if found else None


@pytest.mark.anyio
async def test_starts_states_and_failures_by_cause_are_counted_once_each(laboratory: Laboratory) -> None:
    figures = Figures()
    servers = CountedServers(laboratory.open(), figures)
    await servers.start(laboratory.spec("good"))
    await servers.start(laboratory.spec("bad", "--leave", "3"))
    with pytest.raises(NameTaken):
        await servers.start(laboratory.spec("good"))
    await settled(servers, "good")
    await eventually(servers, "bad", "failed")
    for _ in range(3):
        listed = {one.name: one for one in await servers.listed()}
        assert {name: one.state for name, one in listed.items()} == {"good": "running", "bad": "failed"}
    assert value(figures, "mystic.servers.starts", type="docker", mode=servers.mode) == 2
    assert value(figures, "mystic.servers.failures", cause="name_taken") == 1
    assert value(figures, "mystic.servers.failures", cause=listed["bad"].cause or "failed") == 1
    assert [value(figures, "mystic.servers", state=state) for state in ("running", "failed")] == [1, 1]
    await servers.restart("bad")
    await eventually(servers, "bad", "failed")
    await servers.listed()
    assert value(figures, "mystic.servers.failures", cause=listed["bad"].cause or "failed") == 2
    for name in ("good", "bad"):
        await servers.stop(name)
    await servers.listed()
    assert [value(figures, "mystic.servers", state=state) for state in ("running", "failed")] == [0, 0]


@pytest.mark.anyio
async def test_sessions_and_calls_of_the_gateway_are_counted_with_their_outcome(tmp_path: Path) -> None:
    laboratory = MemoryLaboratory(tmp_path, tmp_path)
    servers = laboratory.open()
    await servers.start(laboratory.spec("probe"))
    await settled(servers, "probe")
    figures = Figures()
    async with served(servers, figures) as (url, gateway):
        async with Client(f"{url}/probe/mcp", mode="legacy") as client:
            for _ in range(3):
                await client.call_tool("echo", {"text": "hi"})
            with pytest.raises(MCPError):
                await client.list_prompts()
            assert value(figures, "mystic.servers.sessions", server="probe") == 1
            assert figures.of_server(figures.rows(), "probe")["sessions"] == 1
        async with Client(f"{url}/probe/mcp", mode="legacy") as client:
            with pytest.raises(MCPError):
                await client.call_tool("leave", {"code": 1})
        async with Client(f"{url}/probe/mcp", mode="auto") as client:
            await client.call_tool("echo", {"text": "without a session"})
        await until_none_is_open(gateway)
    called = {"server": "probe", "method": "tools/call"}
    assert value(figures, "mystic.servers.calls", **called, outcome="ok") == 4
    assert value(figures, "mystic.servers.calls", **called, outcome="lost") == 1
    assert value(figures, "mystic.servers.calls", server="probe", method="prompts/list", outcome="error") == 1
    assert value(figures, "mystic.servers.sessions", server="probe") == 0
    assert value(figures, "mystic.servers.sessions.opened", server="probe") == 2
    told = figures.of_server(figures.rows(), "probe")
    assert (told["errors"], told["sessions"], told["average"] > 0) == (2, 0, True)


def test_names_and_methods_that_anybody_can_invent_do_not_grow_the_figures() -> None:
    figures = Figures()
    for number in range(300):
        figures.called(f"name-{number}", f"method/{number}", "ok", 0.1)
    rows = [row for row in figures.rows() if row["metric"] == "mystic.servers.calls"]
    assert len(rows) == 201
    assert {row["attributes"]["method"] for row in rows} == {"other"}
    assert sum(row["count"] for row in rows) == 300


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, servers="off") as found:
        yield found


def test_figures_reach_the_api_and_the_store(collector: Running) -> None:
    refused = {"name": "one", "server_type": "docker", "image": "x"}
    assert collector.client.post("/api/mcp/servers", json=refused).status_code == 503
    rows = collector.get("/api/mcp/metrics")["metrics"]
    [failure] = [row for row in rows if row["metric"] == "mystic.servers.failures"]
    assert (failure["value"], failure["attributes"]) == (1, {"cause": "engine_unavailable"})
    collector.parts.managed.keep_figures()
    collector.settle()
    found = collector.get("/api/points", metric="mystic.servers.failures", service="gnosis-mystic")["points"]
    assert [one["value"] for one in found] == [1]
