"""How long to wait before trying again."""

from __future__ import annotations

from collections.abc import Callable
from os import urandom

# Seconds. Several quick tries first, so that a collector that was only restarted is joined again at once.
CEILINGS = (0.25, 0.5, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 10.0)
SHORTEST = 0.02
LONGEST_ASKED = 300.0


def share() -> float:
    """Return a random number from 0 up to 1; ``random`` would be an import of several milliseconds."""
    return int.from_bytes(urandom(4)) / 2**32


class Backoff:
    """Growing delays with full jitter, so that a thousand processes do not come back at the same moment."""

    def __init__(self, random: Callable[[], float] = share) -> None:
        self._random = random
        self.failures = 0

    def next(self, retry_after: float | None = None) -> float:
        """Return the seconds to wait after one more failure.

        Args:
            retry_after: seconds the server asked for; honoured up to five minutes.
        """
        ceiling = CEILINGS[min(self.failures, len(CEILINGS) - 1)]
        self.failures += 1
        delay = max(SHORTEST, ceiling * self._random())
        if retry_after is not None and retry_after > delay:
            delay = min(retry_after, LONGEST_ASKED)
        return delay

    def reset(self) -> None:
        """Start over after a success."""
        self.failures = 0
