"""The project's functions, remembered until a file changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mystic_collector.discovery.config import ignore_patterns
from mystic_collector.discovery.source import SourceFunction, Unread, discover

FRESH_SECONDS = 10.0


class Catalog:
    """Discovery with a memory. Thread-safe.

    Args:
        root: the project.
        clock: monotonic seconds; a finding younger than ten seconds is given again.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._found: tuple[float, Sequence[SourceFunction], Sequence[Unread]] | None = None

    def functions(self) -> Sequence[SourceFunction]:
        """Return every function of the project.

        Raises:
            Invalid: when the project's configuration is damaged.
        """
        return self._read()[1]

    def unread(self) -> Sequence[Unread]:
        """Return the files that could not be read."""
        return self._read()[2]

    def _read(self) -> tuple[float, Sequence[SourceFunction], Sequence[Unread]]:
        with self._lock:
            if self._found is None or self._clock() - self._found[0] > FRESH_SECONDS:
                found, unread = discover(self._root, ignore_patterns(self._root))
                self._found = (self._clock(), found, unread)
            return self._found
