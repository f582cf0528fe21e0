"""What is in force now, told without waiting, and what was before, read from the journal."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from mystic_agent.contract.errors import Invalid

from mystic_collector.hijacks import versions
from mystic_collector.hijacks.held import Held
from mystic_collector.hijacks.protocol import Journal
from mystic_collector.hijacks.snapshot import Snapshot
from mystic_collector.hijacks.versions import Bodies


class Reading:
    """The reading half of a registry. Thread-safe; what was before is read under the lock."""

    _held: Held
    _snapshot: Snapshot

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.RLock()

    def snapshot(self) -> Snapshot:
        """Return the set of this moment, the same object until it changes; without waiting."""
        return self._snapshot

    @property
    def unread(self) -> list[tuple[str, str]]:
        """(id, reason) of hijacks that are kept and cannot be in force here; they stay where they are."""
        return self._held.unread

    def digests(self, identity: str) -> Mapping[str, str]:
        """Return the digest of the source of each function of a hijack, from when it was put."""
        with self._lock:
            return self._journal.digests(identity)

    def off(self) -> Mapping[str, Mapping[str, Any]]:
        """Return which services are switched off (``*``: all), each with when, by whom and why; without waiting."""
        return self._snapshot.off

    def next_expiry(self) -> float | None:
        """Return the earliest expiry in Unix seconds, or None."""
        moments = [one.expires_at for one in self.snapshot().hijacks if one.expires_at is not None]
        return min(moments, default=None)

    def audit(
        self, limit: int = 100, before: int = 0, hijack: str = "", actor: str = "", action: str = ""
    ) -> list[dict[str, Any]]:
        """Return changes and refused attempts, newest first, see :class:`~mystic_collector.hijacks.journal.Entry`.

        Args:
            before: only lines with a lower id; 0 for all.
            hijack, actor, action: only lines with that value.
        """
        with self._lock:
            return self._journal.lines(limit, before, hijack, actor, action)

    def changes(self, before: int, limit: int, hijack: str = "") -> list[list[dict[str, Any]]]:
        """Return the lines of the audit by version, newest first, of versions below ``before``; refusals left out."""
        with self._lock:
            return self._journal.by_version(before, limit, hijack)

    def oldest(self) -> int:
        """Return the earliest version that is kept."""
        with self._lock:
            return self._journal.oldest()

    def at(self, version: int, field: str = "version") -> Bodies:
        """Return the hijacks in force at an earlier version.

        Raises:
            Invalid: when that version is not kept any more, or has not been yet.
        """
        with self._lock:
            oldest = self._journal.oldest()
            if not oldest <= version <= self._held.version:
                raise Invalid(field, version, f"give a version from {oldest} to {self._held.version}")
            return versions.rewound(self._held.bodies(), self._journal.since(version))
