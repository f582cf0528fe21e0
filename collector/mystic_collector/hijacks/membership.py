"""This collector as one of a fleet: the server, what is shared through it, and the threads that follow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mystic_collector.hijacks.elsewhere import Elsewhere
from mystic_collector.hijacks.fleet import Fleet
from mystic_collector.hijacks.fleet_journal import FleetJournal
from mystic_collector.hijacks.follower import Follower
from mystic_collector.hijacks.registry import Registry
from mystic_collector.hijacks.replica import Replica
from mystic_collector.hijacks.uses import Used, Uses
from mystic_collector.meeting import Meeting
from mystic_collector.rendezvous import Rendezvous
from mystic_collector.store.protocol import StoreError


class Membership:
    """One collector's part in a fleet.

    Args:
        meeting: where it meets the others.
        folder: of its data; ``fleet.db`` there is the copy of what the fleet keeps.
        fleet: its processes; those of the others are added to them.

    Raises:
        StoreError: when the copy cannot be used, or the library is missing. A server that is away is waited for.
    """

    def __init__(self, meeting: Meeting, folder: Path, fleet: Fleet) -> None:
        self.server = Rendezvous(meeting)
        self.journal = FleetJournal(Replica(folder / "fleet.db", folder / "hijacks.db"), self.server)
        self._fleet, self._elsewhere = fleet, Elsewhere(self.server, fleet.told)
        self._follower: Follower | None = None
        self._uses: Uses | None = None
        fleet.collector, fleet.elsewhere = meeting.name, self._elsewhere.processes

    def start(self, registry: Registry, uses: Callable[[], Iterable[Used]] | None = None) -> None:
        """Begin to follow the fleet's changes, into ``registry``, and to tell of our processes.

        Args:
            uses: how functions with a hijack are used, as far as it is known here alone; None when a store for all
                collectors knows.
        """
        self._uses = told = Uses(self.server, self._elsewhere, uses) if uses is not None else None

        def look() -> None:
            registry.catch_up()
            if self._elsewhere.look():
                self._fleet.taken += 1  # a page that looks on asks anew

        def tell() -> None:
            self._elsewhere.tell()
            if told is not None:
                told.tell()

        self._follower = Follower(self.server, self.journal.channel, look, tell)
        self._fleet.changed = self._follower.hint
        self._follower.start()

    def stop(self) -> None:
        """End that, and take back what was told."""
        if self._follower is not None:
            self._follower.stop()
            with contextlib.suppress(StoreError):
                self._elsewhere.leave()

    def close(self) -> None:
        """Release connections."""
        self.server.close()

    def to_json(self) -> dict[str, Any]:
        """Return what people want to know of it: ``server``, ``trouble``, ``collectors`` with their processes."""
        collectors = self._elsewhere.collectors()
        return {"server": self.server.meeting.shown, "trouble": self.server.trouble, "collectors": collectors}

    def uses(self) -> list[Used]:
        """Return how functions are used at the other collectors; nothing while the server is away."""
        try:
            return self._uses.others() if self._uses is not None else []
        except StoreError:
            return []

    def eviction(self) -> str:
        """Return which keys the server gives up when it has no room; empty when it does not say."""
        return self.server.setting("maxmemory-policy")
