"""The laboratory of the contract, for what only Kubernetes can show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ..servers.cluster import Home, KubernetesLaboratory, home
from ..servers.engine import release


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def archon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A namespace of this run."""
    try:
        with home(tmp_path_factory.mktemp("archon")) as found:
            yield found
    finally:
        release()


@pytest.fixture
async def laboratory(archon: Home, tmp_path: Path) -> AsyncIterator[KubernetesLaboratory]:
    KubernetesLaboratory.home = archon
    found = KubernetesLaboratory(tmp_path, tmp_path)
    try:
        yield found
    finally:
        await found.clean()
    assert found.left() == []
