"""One event loop a test, and the implementations of the interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ..conftest import Running
from .cluster import Home, KubernetesLaboratory, home
from .contract import LABORATORIES, Laboratory
from .engine import DockerLaboratory, release
from .managing import clean, left, managing, managing_pods
from .memory import MemoryLaboratory

LABORATORIES |= {"memory": MemoryLaboratory, "docker": DockerLaboratory, "kubernetes": KubernetesLaboratory}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def images() -> Iterator[None]:
    """Take the image away that the tests have built."""
    yield
    release()


@pytest.fixture(scope="session")
def archon(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A namespace of this run."""
    with home(tmp_path_factory.mktemp("archon")) as found:
        yield found


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    (folder / "github").mkdir(parents=True)
    (folder / "github" / "token").write_text("s3cret-canary-value\n")
    return folder


@pytest.fixture(params=list(LABORATORIES))
async def laboratory(request: pytest.FixtureRequest, tmp_path: Path, secrets: Path) -> AsyncIterator[Laboratory]:
    if request.param == "kubernetes":
        KubernetesLaboratory.home = request.getfixturevalue("archon")
    found = LABORATORIES[request.param](tmp_path, secrets)
    try:
        yield found
    finally:
        await found.clean()
    assert found.left() == []


@pytest.fixture(scope="module", params=["docker", "kubernetes"])
def collector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A collector that manages servers in each of the two; nothing of it is left afterwards."""
    folder = tmp_path_factory.mktemp("managing")
    if request.param == "kubernetes":
        with managing_pods(folder, request.getfixturevalue("archon")) as found:
            yield found
        return
    with managing(folder) as found:
        yield found
    try:
        assert left(folder) == []
    finally:
        clean(folder)


@pytest.fixture
def mode(collector: Running) -> str:
    """What runs the servers of that collector."""
    return str(collector.get("/api/mcp/health")["mode"])
