"""A hijacked function takes two frames where the application counts on one.

So the real limit is twice what the application set, for as long as the agent is active; what it reads back
and sets through ``sys`` stays in its own measure. Code that took ``sys.setrecursionlimit`` before us sets the
real one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

FRAMES_PER_CALL = 2


class Allowance:
    """Keeps the application's recursion limit and the real one apart."""

    def install(self) -> Callable[[], None]:
        """Double the limit; return the undo."""
        self._get, self._set = sys.getrecursionlimit, sys.setrecursionlimit
        self.limit = self._get()
        self._set(self.limit * FRAMES_PER_CALL)
        get, put = self.getrecursionlimit, self.setrecursionlimit
        sys.getrecursionlimit, sys.setrecursionlimit = get, put

        def undo() -> None:
            if sys.setrecursionlimit is put:
                sys.getrecursionlimit, sys.setrecursionlimit = self._get, self._set
                self._set(self.limit)

        return undo

    def getrecursionlimit(self) -> int:
        """Return the limit as the application set it."""
        return self.limit

    def setrecursionlimit(self, limit: int, /) -> None:
        """Set the application's limit."""
        self._set(limit * FRAMES_PER_CALL if isinstance(limit, int) and 0 < limit < 2**30 else limit)
        self.limit = limit
