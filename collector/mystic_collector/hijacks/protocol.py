"""What keeps the hijacks in force and every change that led to them, whatever the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mystic_collector.hijacks.journal import Entry
from mystic_collector.hijacks.versions import Step


class Behind(Exception):
    """Somebody else has changed what is kept since it was last read: catch up, and decide again."""


class Journal(Protocol):
    """Hijacks, switches and the audit by version. Not thread-safe.

    Every method raises :class:`~mystic_collector.store.protocol.StoreError` when it cannot be kept or read; nothing
    of a change is kept then.

    Attributes:
        shared: others change what is kept as well.
    """

    shared: bool

    @property
    def version(self) -> int:
        """The latest version that is known here."""

    def hijacks(self) -> list[tuple[str, str]]:
        """Return (id, JSON) of the hijacks in force, oldest first."""

    def switches(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each service that is switched off."""

    def digests(self, hijack: str) -> dict[str, str]:
        """Return the digest of each function's source from when the hijack was made."""

    def last_change(self) -> int:
        """Return the version of the latest change of a hijack.

        Raises:
            Invalid: when there was none.
        """

    def latest(self, hijack: str) -> int:
        """Return the version of the latest change of one hijack; 0 when none is known."""

    def catch_up(self) -> bool:
        """Take in what others have changed; True when they have."""

    def change(self, entries: Sequence[Entry], version: int) -> None:
        """Write what changed of the hijacks, and the version it leads to.

        Raises:
            Behind: when that version has been taken by somebody else.
        """

    def switch(self, entries: Sequence[Entry], version: int) -> None:
        """Write which services are switched off (``after``) and on (None), and the version it leads to.

        Raises:
            Behind: as :meth:`change`.
        """

    def refuse(self, entry: Entry) -> None:
        """Write down an attempt that changed nothing."""

    def note_digests(self, hijack: str, digests: Mapping[str, str]) -> None:
        """Remember how the source of a hijack's functions looks now."""

    def lines(
        self, limit: int, before: int = 0, hijack: str = "", actor: str = "", action: str = ""
    ) -> list[dict[str, Any]]:
        """Return lines of the audit with these values, newest first; ``before`` is an id."""

    def by_version(self, before: int, limit: int, hijack: str = "") -> list[list[dict[str, Any]]]:
        """Return the lines of up to ``limit`` versions below ``before``, newest first, refusals left out."""

    def since(self, version: int) -> list[Step]:
        """Return every change of a hijack after ``version``, newest first."""

    def oldest(self) -> int:
        """Return the earliest version that can still be told."""

    def close(self) -> None:
        """Release files and connections."""
