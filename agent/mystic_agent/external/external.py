"""Everything that one process does outside, watched: the parts put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from mystic_agent.external.ledger import Ledger
from mystic_agent.external.processes import Processes
from mystic_agent.external.sockets import Sockets
from mystic_agent.external.talk import Talking
from mystic_agent.external.waits import Waits
from mystic_agent.records import Count

if TYPE_CHECKING:
    from mystic_agent.external.descriptors import Descriptors
    from mystic_agent.external.loops import Loops


class External:
    """What the functions of one process do outside of it.

    Args:
        project: true of the names of functions that are the project's own.
        threads: identities of the agent's own threads.
    """

    def __init__(self, project: Callable[[str], bool], threads: Container[int]) -> None:
        self._ledger = Ledger()
        self._talking = Talking(self._ledger, project)
        self._sockets = Sockets(self._talking, threads)
        self._loops: Loops | None = None  # where uvloop is
        self._descriptors: Descriptors | None = None  # where an event loop is
        self._project = project
        self._processes = Processes(self._ledger, project)
        self._waits = Waits(self._ledger, project, threads, self._sockets.followed)

    def install(self) -> None:
        """Watch what is loaded and not watched yet; to be called again when more may be loaded."""
        self._sockets.install()
        if self._loops is None and "uvloop" in sys.modules:
            from mystic_agent.external.loops import Loops

            self._loops = Loops(self._talking, self._sockets.talk)
        if self._loops is not None:
            self._loops.install()
        if self._descriptors is None and ("asyncio.selector_events" in sys.modules or "uvloop" in sys.modules):
            from mystic_agent.external.descriptors import Descriptors

            sockets = self._sockets
            self._descriptors = Descriptors(self._ledger, self._project, sockets.followed, sockets.names)
        if self._descriptors is not None:
            self._descriptors.install()
        self._processes.install()

    def remove(self) -> None:
        """Put everything back."""
        self._processes.remove()
        if self._descriptors is not None:
            self._descriptors.remove()
        if self._loops is not None:
            self._loops.remove()
        self._sockets.remove()

    def look(self, seconds: float) -> None:
        """Look at what threads wait for inside C code; ``seconds`` have gone by since the last time."""
        if self._descriptors is not None:
            self._descriptors.settle()
        self._waits.look(seconds)

    def counts(self) -> list[Count]:
        """Return all that was added up."""
        return self._ledger.counts()

    def reset(self) -> None:
        """Start from zero, as a forked child does."""
        self._ledger.reset()
        if self._descriptors is not None:
            self._descriptors.reset()
        self._sockets.reset()
