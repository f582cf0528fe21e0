"""From the chat to the pod: what starting a server takes is one trace."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest

from ..conftest import running, until
from ..receivers import free_port
from ..servers.cluster import TOKEN, KubernetesLaboratory
from ..test_own_traces import ids, say, spans_of

CHAIN = (
    "tools/call start_mcp_server",
    "POST /api/mcp/servers",
    "start MCP server",
    "POST /mcp/start",
    "kubernetes apply pod",
)
WAITED = "wait until its pod runs"
KEY = "open-sesame"


def started(folder: Path, port: int, image: str, sidecar: str) -> tuple[str, list[dict[str, Any]]]:
    """Start a server from the chat on standard input and output; return the caller's span, and the trace."""
    trace = ids()
    server = {"name": "probe", "runner": "docker", "image": image, "args": ["python", "/opt/probe.py"]}
    given = {"sidecar_url": sidecar, "sidecar_token": TOKEN, "servers": "sidecar"}
    with running(folder, port=port, api_key=KEY, **given) as collector:
        collector.client.headers["X-Mystic-Key"] = KEY
        assert asyncio.run(say(folder / "log", port, "start_mcp_server", trace, server, MYSTIC_API_KEY=KEY))

        def whole() -> list[dict[str, Any]]:
            found = spans_of(collector.client, trace[0])
            return found if {*CHAIN, WAITED} <= {one["name"] for one in found} else []

        return trace[1], until(whole, "the whole trace")


@pytest.mark.anyio
async def test_a_server_that_the_chat_starts_is_one_trace_from_the_chat_by_the_sidecar_to_its_pod(
    laboratory: KubernetesLaboratory, tmp_path: Path
) -> None:
    port = free_port()
    laboratory.open(collector_port=port)
    assert laboratory.beside is not None
    caller, spans = await asyncio.to_thread(started, tmp_path, port, laboratory.image, laboratory.beside.url)
    named = {one["name"]: one for one in spans}
    assert named[CHAIN[0]]["parent_id"] == caller
    for above, below in itertools.pairwise(CHAIN):
        assert named[below]["parent_id"] == named[above]["span_id"], (above, below)
    assert named[WAITED]["parent_id"] == named["POST /mcp/start"]["span_id"]
    [pod] = laboratory.left()
    assert named[CHAIN[-1]]["attributes"]["k8s.pod.name"] == named[WAITED]["attributes"]["k8s.pod.name"] == pod
    assert named[WAITED]["attributes"]["mystic.server.state"] == "running"
    assert not [one for one in spans if one["status"] == "error"]
