"""Results of one function in one process: bounded in bytes and entries, expiring by a monotonic clock.

Two views of the same entries: ``entries`` by canonical key, and ``kinds`` for calls whose arguments are
all of SIMPLE types and whose result is immutable: ``kinds[types][values] = (expires_ns, value)``. The
trampoline reads ``kinds`` directly; a lookup there can only run the hash of a builtin type, and of the metaclass of
an argument's type.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable, Hashable
from time import perf_counter_ns
from typing import Any

from mystic_agent.cache.flights import Flights
from mystic_agent.contract.named import NamedTuple

Fast = tuple[Hashable, Hashable]
"""(types, values) of a call that the trampoline can look up itself."""


class Entry(NamedTuple):
    """One kept outcome.

    Attributes:
        expires_ns: ``perf_counter_ns`` at which it is no longer served.
        value: the result, or the exception when ``failed``.
        failed: the call raised ``value``.
        shared: may be handed out as it is.
        size: estimated bytes.
        fast: where it also stands in ``kinds``.
        stale_ns: until when it may be served although it has expired, while it is computed anew.
    """

    expires_ns: int
    value: Any
    failed: bool
    shared: bool
    size: int
    fast: Fast | None
    stale_ns: int = 0


class Memory:
    """The kept results.

    Args:
        max_bytes, max_entries: bounds; the entries stored longest ago go first.
        clock: nanoseconds, monotonic, the same that trampolines read.
    """

    def __init__(self, max_bytes: int, max_entries: int, clock: Callable[[], int] = perf_counter_ns) -> None:
        self.kinds: dict[Hashable, dict[Hashable, tuple[int, Any]]] = {}
        self.entries: dict[Hashable, Entry] = {}
        self.bytes = 0
        self.evicted = 0
        self.clock = clock
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self.lock = _thread.RLock()
        self.flights = Flights()

    def find(self, key: Hashable) -> Entry | None:
        """Return the entry under ``key`` when it may still be served, be it stale; one that is over is removed."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        now = self.clock()
        if entry.expires_ns > now or entry.stale_ns > now:
            return entry
        self.remove(key)
        return None

    def fresh(self, entry: Entry) -> bool:
        """False when ``entry`` has expired and may only be served because it is computed anew."""
        return entry.expires_ns > self.clock()

    def put(self, key: Hashable, entry: Entry) -> bool:
        """Keep ``entry``; False when it alone is larger than the bound."""
        if entry.size > self._max_bytes:
            return False
        with self.lock:
            self.remove(key)
            while self.entries and (
                self.bytes + entry.size > self._max_bytes or len(self.entries) >= self._max_entries
            ):
                self.remove(next(iter(self.entries)))
                self.evicted += 1
            self.entries[key] = entry
            self.bytes += entry.size
            if entry.fast is not None:
                types, values = entry.fast
                self.kinds.setdefault(types, {})[values] = (entry.expires_ns, entry.value)
        return True

    def remove(self, key: Hashable) -> None:
        """Forget what is kept under ``key``, if anything."""
        with self.lock:
            entry = self.entries.pop(key, None)
            if entry is None:
                return
            self.bytes -= entry.size
            if entry.fast is not None:
                types, values = entry.fast
                self.kinds.get(types, {}).pop(values, None)

    def sweep(self) -> int:
        """Remove what has expired; return how many entries went. Called by the agent's thread."""
        now, gone = self.clock(), 0
        for key, entry in list(self.entries.items()):
            if max(entry.expires_ns, entry.stale_ns) <= now:
                self.remove(key)
                gone += 1
        self.flights.sweep()
        return gone

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.kinds.clear()
            self.entries.clear()
            self.bytes = 0

    def reset(self) -> None:
        """Take new locks and wait for no thread of the parent, as a forked child must; what is kept stays valid."""
        self.lock = _thread.RLock()
        self.flights.reset()
