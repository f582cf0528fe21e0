"""Puts the helpers of this folder where its tests can import them, and what several of its files use."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mystic_agent.external.external import External

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def external() -> Iterator[External]:
    """Watch what is done outside of this process by any function."""
    made = External(lambda function: True, ())
    made.install()
    yield made
    made.remove()
