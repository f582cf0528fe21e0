"""A server at which collectors meet, and registries over it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mystic_collector.hijacks.fleet_journal import FleetJournal
from mystic_collector.hijacks.registry import Registry
from mystic_collector.hijacks.replica import Replica
from mystic_collector.meeting import Meeting
from mystic_collector.rendezvous import Rendezvous

from .server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    one = Server(folder)
    one.start()
    yield one
    one.kill()


@pytest.fixture
def meet(server: Server) -> Iterator[Callable[[], Rendezvous]]:
    """Make clients of the server."""
    with contextlib.ExitStack() as undo:

        def make(**more: Any) -> Rendezvous:
            made = Rendezvous(Meeting("127.0.0.1", server.port, **more))
            undo.callback(made.close)
            return made

        yield make


@pytest.fixture
def collector_at(tmp_path: Path, meet: Callable[[], Rendezvous]) -> Iterator[Callable[..., Registry]]:
    """Open the registry of the collector whose data lie in a folder of that name."""
    with contextlib.ExitStack() as undo:

        def open_(name: str, **more: Any) -> Registry:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            journal = FleetJournal(Replica(folder / "fleet.db", folder / "hijacks.db"), meet())
            return undo.enter_context(contextlib.closing(Registry(journal, **more)))

        yield open_
