"""A collector with both: in the middle of an outage of the sidecar Docker does the work, and afterwards the sidecar."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from mystic_collector.servers.choice import ChosenServers
from mystic_collector.servers.sidecar import SidecarServers

from ..servers.cluster import TOKEN, Beside, KubernetesLaboratory
from ..servers.contract import Speech, settled
from ..servers.engine import DockerLaboratory

pytestmark = pytest.mark.anyio


async def test_docker_takes_over_with_one_warning_and_the_sidecar_comes_back(
    laboratory: KubernetesLaboratory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    docker = DockerLaboratory(tmp_path, tmp_path)
    sidecar = laboratory.open()
    assert laboratory.beside is not None
    port = int(laboratory.beside.url.rpartition(":")[2])
    both = ChosenServers(sidecar, docker.open(), memory=0.0)
    try:
        assert (await both.start(laboratory.spec("before"))).mode == "kubernetes"
        await settled(both, "before")

        await asyncio.to_thread(laboratory.beside.stop)
        with caplog.at_level(logging.WARNING, "mystic_collector.servers"):
            assert (await both.start(laboratory.spec("meanwhile"))).mode == "docker"
            await settled(both, "meanwhile")
            assert [one.name for one in await both.listed()] == ["meanwhile"]
        [warning] = [one.getMessage() for one in caplog.records if "now run in docker" in one.getMessage()]
        assert "does not answer" in warning

        laboratory.beside = Beside(replace(laboratory.settings, port=port), laboratory.home.cluster())
        assert (await both.start(laboratory.spec("after"))).mode == "kubernetes"
        await settled(both, "after")
        found = {one.name: one.mode for one in await both.listed()}
        assert found == {"before": "kubernetes", "meanwhile": "docker", "after": "kubernetes"}
        for name in found:
            async with both.open(name) as pipe:
                assert await Speech(pipe).call("echo", text=name) == name
            await both.stop(name)
        assert await both.listed() == ()
    finally:
        await docker.clean()
    assert docker.left() == []


async def test_with_neither_the_answer_says_how_to_get_either(laboratory: KubernetesLaboratory) -> None:
    laboratory.open()
    assert laboratory.beside is not None
    url = laboratory.beside.url
    await asyncio.to_thread(laboratory.beside.stop)
    alone = ChosenServers(SidecarServers(url, lambda: TOKEN), None)
    health = await alone.health()
    assert not health.ok
    assert "does not answer" in health.reason
    assert "mcp-sidecar" in health.remedy
    assert "Docker" in health.remedy
    await alone.close()
