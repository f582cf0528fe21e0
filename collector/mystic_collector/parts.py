"""What a running collector is made of; endpoints get it from ``request.app.state.parts``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from mystic_collector.cache.entries import Entries
from mystic_collector.discovery.catalog import Catalog
from mystic_collector.forward.forward import Forward
from mystic_collector.hijacks.fleet import Fleet
from mystic_collector.hijacks.membership import Membership
from mystic_collector.hijacks.registry import Registry
from mystic_collector.hijacks.stream import Streams
from mystic_collector.ingest.writer import Writer
from mystic_collector.recordings.recordings import Recordings
from mystic_collector.servers.managed import Managed
from mystic_collector.settings import Settings
from mystic_collector.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """One collector's parts.

    Attributes:
        membership: in a fleet of several collectors; None when this one is alone.
        clock: Unix seconds.
        started: Unix seconds of the start.
    """

    settings: Settings
    store: Store
    writer: Writer
    forward: Forward
    registry: Registry
    fleet: Fleet
    streams: Streams
    catalog: Catalog
    cache: Entries
    recordings: Recordings
    managed: Managed
    membership: Membership | None = None
    clock: Callable[[], float] = time.time
    started: float = field(default_factory=time.time)


def parts_of(request: Request) -> Parts:
    """Return the parts behind a request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)  # noqa: S101 - tells the type checker what the composition root put there
    return parts
