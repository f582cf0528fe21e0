"""On a real cluster: a server runs where it is placed, and one that fits nowhere says why."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from mystic_collector.servers.errors import NameTaken, Rejected
from mystic_collector.servers.sidecar import SidecarServers
from mystic_collector.sidecar.pod import NAME

from ...e2e.containers.cluster import kubectl, namespace, read
from ...e2e.containers.engine import until
from ..servers.cluster import ACCOUNT, RBAC, TOKEN, Home, KubernetesLaboratory, kubeconfig
from ..servers.contract import Speech, eventually, settled
from .process import Process, environment

__all__ = ["environment"]
pytestmark = pytest.mark.anyio


async def test_a_server_runs_on_a_node_that_fits_and_one_that_fits_none_says_why(
    laboratory: KubernetesLaboratory,
) -> None:
    servers = laboratory.open()
    [node, *_] = read("nodes")["items"]
    placement = {
        "node_selector": {"kubernetes.io/hostname": node["metadata"]["labels"]["kubernetes.io/hostname"]},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {NAME: "alone"}}}
                ]
            }
        },
    }
    await servers.start(laboratory.spec("alone", placement=placement))
    found = await settled(servers, "alone")
    assert (found.state, found.facts["node"]) == ("running", node["metadata"]["name"])

    nowhere = {"node_selector": {"mystic.test/nowhere": "yes"}}
    await servers.start(laboratory.spec("nowhere", placement=nowhere, timeout=3))
    await servers.start(laboratory.spec("crowded", placement={"affinity": placement["affinity"]}, timeout=3))
    for name in ("nowhere", "crowded"):
        lost = await eventually(servers, name, "failed")
        assert lost.detail.startswith("no node takes it: 0/"), lost
        assert (lost.cause, "place it elsewhere" in lost.remedy) == ("node", True)
        await servers.stop(name)


async def test_a_server_runs_in_the_cluster_of_the_context_it_is_placed_in(
    laboratory: KubernetesLaboratory, environment: dict[str, str], tmp_path: Path
) -> None:
    with namespace(f"far-{laboratory.owner}") as name:
        kubectl("--namespace", name, "apply", "--filename", str(RBAC))
        far = Home(name, kubeconfig(tmp_path, name, ACCOUNT))
        known, other = (json.loads(one.kubeconfig.read_text()) for one in (laboratory.home, far))
        known["users"].append({**other["users"][0], "name": "far"})
        context = {"cluster": known["clusters"][0]["name"], "user": "far", "namespace": name}
        known["contexts"].append({"name": "far", "context": context})
        both = tmp_path / "both.kubeconfig"
        both.write_text(json.dumps(known))
        changes = {"KUBECONFIG": str(both), "MCP_SIDECAR_CONTEXTS": "far"}
        process = await asyncio.to_thread(Process, {**environment, **changes})
        servers = SidecarServers(process.url, lambda: TOKEN)
        try:
            assert (await servers.health()).facts["contexts"] == ["far"]
            await servers.start(laboratory.spec("here"))
            await servers.start(laboratory.spec("there", placement={"context": "far"}))
            with pytest.raises(NameTaken):
                await servers.start(laboratory.spec("there"))
            with pytest.raises(Rejected, match=r"'nowhere'.*far"):
                await servers.start(laboratory.spec("lost", placement={"context": "nowhere"}))
            found = [await settled(servers, one.name) for one in await servers.listed()]
            assert [(one.name, one.state) for one in found] == [("here", "running"), ("there", "running")]
            assert laboratory.left() == [found[0].identity]
            assert [one["metadata"]["name"] for one in far.pods(laboratory.owner)] == [found[1].identity]
            async with servers.open("there") as pipe:
                assert await Speech(pipe).call("echo", text="far away") == "far away"
            await servers.stop("there")
            until(lambda: not far.pods(laboratory.owner), "no pod is left there")
            assert [one.name for one in await servers.listed()] == ["here"]
        finally:
            await servers.close()
            await asyncio.to_thread(process.end, signal.SIGTERM)
