"""What keeps entries beside the process, as the call path sees it: bounded in time, and never failing."""

from __future__ import annotations

from typing import Protocol

from mystic_agent.cache.sealed import Seal
from mystic_agent.contract.named import NamedTuple


class Shelf(Protocol):
    """Bytes by function and key. Whatever goes wrong beyond is an absent entry, and a dead one costs nothing."""

    @property
    def reachable(self) -> bool:
        """False while asking would be in vain."""

    def find(self, function: str, key: str) -> bytes | None:
        """Return what is kept, or None; within a tenth of a second, also when nobody answers."""

    async def find_async(self, function: str, key: str) -> bytes | None:
        """As :meth:`find`, without holding up the running event loop."""

    def put(self, function: str, key: str, value: bytes, ttl: float) -> None:
        """Have ``value`` kept for ``ttl`` seconds, later and by another thread; dropped and counted when it cannot."""


class Shared(NamedTuple):
    """What a cache of shared scope needs: where entries are, and what signs them."""

    shelf: Shelf
    seal: Seal
