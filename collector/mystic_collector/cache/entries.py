"""What keeps shared entries, whatever the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Name = tuple[str, str]
"""Function and key."""


class Entry(NamedTuple):
    """One kept value.

    Attributes:
        value: the bytes that were put.
        expires_at: Unix seconds, or None for never.
    """

    value: bytes
    expires_at: float | None


class Kept(NamedTuple):
    """One value to be kept, for ``ttl`` seconds or without an end."""

    function: str
    key: str
    value: bytes
    ttl: float | None


class Entries(Protocol):
    """Bytes by function and key, bounded in size, surviving a restart of the collector."""

    @property
    def dropped(self) -> int:
        """Entries that were not in our form and have been removed."""

    def get(self, function: str, key: str) -> Entry | None:
        """Return what is kept and has not expired, or None."""

    def put(self, function: str, key: str, value: bytes, ttl: float | None) -> None:
        """Keep ``value`` for ``ttl`` seconds, or until there is no room.

        Raises:
            ValueError: when it is larger than the whole cache may be.
        """

    def find(self, names: Sequence[Name], most_bytes: int) -> list[bytes]:
        """Return the value of each, ``b""`` for what is not kept or no longer fits into ``most_bytes``."""

    def keep(self, entries: Sequence[Kept]) -> None:
        """Keep many; those that are larger than the whole cache may be are left out."""

    def delete(self, function: str, key: str) -> bool:
        """Forget one entry; True when there was one."""

    def count(self) -> int:
        """Return how many entries are kept."""

    def close(self) -> None:
        """Release files."""
