"""Which slice rows go into: what is too old or too much is dropped a slice at a time. Used by the writing thread."""

from __future__ import annotations

_SLICES = 50


class Slices:
    """Begins a new slice when enough time has passed or enough was written.

    A slice is called by the Unix microsecond of its beginning, so that no two collectors write to the same one, which
    would not hurt, and that the lowest number is the oldest.

    Args:
        max_age: seconds that rows are kept; a slice lasts a fiftieth of it.
        max_bytes: that are kept; a slice takes at most a twentieth, before the engine compresses it.
    """

    def __init__(self, max_age: float, max_bytes: int) -> None:
        self._lasts = max(1.0, max_age / _SLICES)
        self._most = max_bytes * 2 // _SLICES
        self._current = 0
        self._began = 0.0
        self._weight = 0

    def current(self, now: float, weight: int) -> int:
        """Return the slice for rows of ``weight`` bytes at ``now`` (Unix seconds)."""
        if not self._current or now - self._began >= self._lasts or now < self._began or self._weight >= self._most:
            self._current = max(self._current + 1, int(now * 1e6))
            self._began, self._weight = now, 0
        self._weight += weight
        return self._current
