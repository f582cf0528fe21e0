"""One flush: waited for by one thread, settled by several."""

from __future__ import annotations

from mystic_agent.threads import Event, Lock


class Ticket:
    """Done when every party has settled it, also when one failed: the others may still get theirs out.

    Args:
        parties: how many have to settle it.
    """

    def __init__(self, parties: int) -> None:
        self.parties = parties
        self._left = parties
        self._lock = Lock()
        self._done = Event()
        self._sent = True

    def settle(self, sent: bool, parties: int = 1) -> None:
        """So many parties are done; ``sent`` says whether everything they had went out."""
        with self._lock:
            self._left -= parties
            self._sent = self._sent and sent
            if self._left <= 0:
                self._done.set()

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; True when everything went out."""
        return self._done.wait(timeout) and self._sent
