"""How hijacked functions are used at each collector of a fleet, told now and then: none is unused that others count.

Law: what another has told is validated, and forgotten when it tells no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from mystic_collector.hijacks.elsewhere import Elsewhere
from mystic_collector.hijacks.stale import Use
from mystic_collector.rendezvous import Rendezvous

EVERY = 5.0
"""Seconds between two tellings."""

LEASE = 60.0
MOST_TOLD = 2_000

Used = tuple[str, Use]
"""A service, and the use of one of its functions."""


class Uses:
    """What the collectors tell of uses.

    Args:
        server: where.
        elsewhere: who they are.
        own: what is known here.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        server: Rendezvous,
        elsewhere: Elsewhere,
        own: Callable[[], Iterable[Used]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server, self._elsewhere, self._own, self._clock = server, elsewhere, own, clock
        self._told = -EVERY

    def tell(self) -> None:
        """Tell what is known here when it is time.

        Raises:
            StoreError: when the server is away.
        """
        now = self._clock()
        if now - self._told < EVERY:
            return
        self._told = now
        rows = [[service, one.function, one.last_called, one.hits, one.misses] for service, one in self._own()]
        body, name = orjson.dumps(rows[:MOST_TOLD]), self._key(self._elsewhere.identity)
        self._server.ask(lambda client: client.set(name, body, px=int(LEASE * 1000)))

    def others(self) -> list[Used]:
        """Return what the other collectors tell.

        Raises:
            StoreError: when the server is away.
        """
        names = [self._key(identity) for identity in self._elsewhere.identities()]
        found: list[bytes | None] = self._server.ask(lambda client: client.mget(names)) if names else []
        return [used for body in found if body is not None for used in _read(body)]

    def _key(self, identity: str) -> str:
        return self._server.key(f"uses:{identity}")


def merged(uses: Iterable[Use]) -> list[Use]:
    """Return one use for each function: the last call of all, and all hits and misses."""
    found: dict[str, Use] = {}
    for one in uses:
        known = found.get(one.function, Use(one.function))
        last = max((at for at in (known.last_called, one.last_called) if at is not None), default=None)
        found[one.function] = Use(one.function, last, known.hits + one.hits, known.misses + one.misses)
    return list(found.values())


def _read(body: bytes) -> list[Used]:
    """Return what one collector tells; what is not in our form is left out."""
    try:
        rows = orjson.loads(body)
    except ValueError:
        return []
    return [(row[0], Use(*row[1:])) for row in rows[:MOST_TOLD] if _right(row)] if isinstance(rows, list) else []


def _right(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != 5:
        return False
    service, function, last, hits, misses = row
    texts, counts = isinstance(service, str) and isinstance(function, str), (hits, misses)
    return texts and isinstance(last, int | float | None) and all(type(one) is int and one >= 0 for one in counts)
