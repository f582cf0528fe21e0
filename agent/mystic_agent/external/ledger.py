"""What has been done outside, added up by caller and peer: bounded, and exact under threads."""

from __future__ import annotations

import _thread

from mystic_agent.contract import wire
from mystic_agent.external.caller import Caller
from mystic_agent.records import Attribute, Count

MOST = 128
"""Combinations of caller, peer and protocol that are told apart; further ones are added up under OTHER."""

OTHER = "(other)"
OPERATIONS, CONNECTIONS, ERRORS, SENT, RECEIVED, WAITED = range(6)
Cells = list[int]
"""One combination: ``cells[i] += n`` is not interrupted by another thread, see decision 2."""

_Key = tuple[str, str, str, str]


class Ledger:
    """The sums of one process since its start."""

    def __init__(self) -> None:
        self._kept: dict[_Key, Cells] = {}
        self._lock = _thread.RLock()  # a __del__ that sends may run inside

    def cells(self, caller: Caller, peer: str, protocol: str) -> Cells:
        """Return the cells of a combination, made when it is new."""
        key = (*caller, peer, protocol)
        found = self._kept.get(key)
        if found is not None:
            return found
        with self._lock:
            if len(self._kept) >= MOST and key not in self._kept:
                key = (OTHER, "", OTHER, "")
            return self._kept.setdefault(key, [0] * 6)

    def counts(self) -> list[Count]:
        """Return all that was added up."""
        found = []
        for (function, via, peer, protocol), cells in list(self._kept.items()):
            attributes: tuple[Attribute, ...] = (
                (wire.FUNCTION, function),
                (wire.EXTERNAL_VIA, via),
                (wire.EXTERNAL_PEER, peer),
                (wire.EXTERNAL_PROTOCOL, protocol),
            )
            for name, value in zip(wire.EXTERNAL, tuple(cells), strict=True):
                if value:
                    found.append(Count(name, value, attributes))
        return found

    def reset(self) -> None:
        """Start from zero, as a forked child does; cells that calls under way hold stay theirs."""
        self._lock = _thread.RLock()
        for cells in self._kept.values():
            cells[:] = [0] * 6
