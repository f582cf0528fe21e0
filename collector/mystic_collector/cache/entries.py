"""What keeps shared entries, whatever the engine."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """One kept value.

    Attributes:
        value: the bytes that were put.
        expires_at: Unix seconds, or None for never.
    """

    value: bytes
    expires_at: float | None


class Entries(Protocol):
    """Bytes by function and key, bounded in size, surviving a restart."""

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

    def delete(self, function: str, key: str) -> bool:
        """Forget one entry; True when there was one."""

    def count(self) -> int:
        """Return how many entries are kept."""

    def close(self) -> None:
        """Release files."""
