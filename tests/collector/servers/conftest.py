"""One event loop a test, and the implementations of the interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .cluster import Home, KubernetesLaboratory, home
from .contract import LABORATORIES, Laboratory
from .engine import DockerLaboratory, release
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
