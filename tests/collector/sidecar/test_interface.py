"""What the sidecar itself answers, on the paths of its originals too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ..servers.cluster import TOKEN, KubernetesLaboratory
from ..servers.contract import PATIENCE, settled

pytestmark = pytest.mark.anyio


@pytest.fixture
async def web(laboratory: KubernetesLaboratory) -> AsyncIterator[httpx.AsyncClient]:
    laboratory.open()
    assert laboratory.beside is not None
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        base_url=laboratory.beside.url, trust_env=False, headers=headers, timeout=PATIENCE
    ) as found:
        yield found


PATHS = {
    "of its own": {
        "start": ("POST", "/mcp/start"),
        "list": ("GET", "/mcp/list"),
        "status": ("GET", "/mcp/status?name=one"),
        "logs": ("GET", "/mcp/logs?name=one"),
        "restart": ("POST", "/mcp/restart"),
        "stop": ("POST", "/mcp/stop"),
    },
    "of the originals": {
        "start": ("POST", "/servers/start"),
        "list": ("GET", "/servers/list"),
        "status": ("GET", "/servers/one/status"),
        "logs": ("GET", "/servers/one/logs"),
        "restart": ("POST", "/servers/one/restart"),
        "stop": ("POST", "/servers/one/stop"),
    },
    "of resources": {
        "start": ("POST", "/servers"),
        "list": ("GET", "/servers"),
        "status": ("GET", "/servers/one"),
        "logs": ("GET", "/servers/one/logs"),
        "restart": ("POST", "/servers/one/restart"),
        "stop": ("DELETE", "/servers/one"),
    },
}


@pytest.mark.parametrize("family", list(PATHS))
async def test_a_server_is_started_looked_at_and_stopped_on_every_family_of_paths(
    laboratory: KubernetesLaboratory, web: httpx.AsyncClient, family: str
) -> None:
    async def ask(what: str, body: object = None, status: int = 200) -> dict[str, Any]:
        method, path = PATHS[family][what]
        given = {"name": "one"} if body is None and method == "POST" and "/one" not in path else body
        found = await web.request(method, path, json=given)
        assert found.status_code == status, found.text
        answer: dict[str, Any] = found.json()
        return answer

    spec = laboratory.spec("one", "--say", "hello", env={"COLOUR": "green"}).to_json(values=True)
    begun = await ask("start", body=spec, status=202)
    assert (begun["name"], begun["state"]) == ("one", "starting")
    assert await ask("start", body=spec, status=409)
    assert (await settled(laboratory.opened[-1], "one")).state == "running"
    assert (await ask("status"))["state"] == "running"
    listed = await ask("list")
    assert listed["count"] == 1
    assert "green" not in json.dumps(listed)
    assert (await web.get("/status")).json()["servers"] == 1
    async with asyncio.timeout(PATIENCE):
        while not (lines := (await ask("logs"))["logs"]):
            await asyncio.sleep(0.05)
    assert [line["text"] for line in lines] == ["hello"]
    assert (await ask("restart", status=202))["restarts"] == 1
    assert (await settled(laboratory.opened[-1], "one")).state == "running"
    assert (await ask("stop"))["state"] == "stopped"
    assert await ask("status", status=404)
    assert (await ask("list"))["count"] == 0


async def test_a_log_that_is_followed_is_an_object_a_line_until_the_server_is_stopped(
    laboratory: KubernetesLaboratory, web: httpx.AsyncClient
) -> None:
    await web.post("/mcp/start", json=laboratory.spec("one", "--say", "hello").to_json(values=True))
    assert (await settled(laboratory.opened[-1], "one")).state == "running"
    async with web.stream("GET", "/mcp/logs", params={"name": "one", "follow": "true", "tail": "5"}) as stream:
        assert stream.headers["content-type"] == "application/x-ndjson"
        lines = stream.aiter_lines()
        assert json.loads(await anext(lines))["text"] == "hello"
        assert (await web.post("/mcp/stop", json={"name": "one"})).status_code == 200
        assert [line async for line in lines] == []


async def test_a_request_that_is_wrong_is_told_what_is(web: httpx.AsyncClient) -> None:
    for method, path, given, status, words in (
        ("POST", "/mcp/start", {"name": "x", "server_type": "docker", "image": "--privileged"}, 422, "never an option"),
        ("POST", "/mcp/start", {}, 422, "MYSTIC_SERVERS_IMAGES"),
        ("POST", "/mcp/stop", {"name": "gone"}, 404, "there is no server 'gone'"),
        ("GET", "/mcp/logs?name=gone&follow=true", None, 404, "there is no server 'gone'"),
        ("GET", "/mcp/status?name=gone&wait=soon", None, 422, "wait"),
        ("GET", "/mcp/nothing", None, 404, ""),
    ):
        found = await web.request(method, path, json=given)
        assert (found.status_code, words in found.text) == (status, True), found.text
