"""Connections of C libraries that an event loop watches for them: psycopg's ``AsyncConnection`` and its like.

Such a library opens a socket that Python never sees, hands its number to the loop (``add_reader``), and takes it back
(``remove_reader``) when its task has been woken. The time in between is what the task waited, and is booked on who
handed it over; one that is never taken back is watched for good, and counts for nothing. Requests and bytes are not
known. Whether the other side opened the connection is in the kernel's tables, which a thread of ours reads later.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from types import FrameType
from typing import Any

from mystic_agent.contract.named import NamedTuple
from mystic_agent.external.caller import Caller, caller
from mystic_agent.external.ledger import WAITED, Ledger
from mystic_agent.external.peer import PORTS, peer
from mystic_agent.external.stand_in import StandIns
from mystic_agent.external.tables import rows, served
from mystic_agent.guard import guard

MOST_KNOWN = 512
MOST_WAITING = 1000
MOST_ENDED = 10_000


class _Ends(NamedTuple):
    """The two ends of a connection: how the peer is called, its port, and our own port."""

    name: str
    port: int
    own: int


class Descriptors:
    """The connections of one process that its event loops watch for C libraries.

    Args:
        ledger: where sums are kept.
        project: true of the names of functions that are the project's own.
        followed: true of descriptors that are followed exactly.
        names: numeric address → the name it was looked up by.
    """

    def __init__(
        self, ledger: Ledger, project: Callable[[str], bool], followed: Callable[[int], bool], names: dict[str, str]
    ) -> None:
        self._ledger = ledger
        self._project = project
        self._followed = followed
        self._names = names
        self._standing = StandIns()
        self._watched: set[int] = set()
        self._known: dict[int, tuple[int, _Ends | None]] = {}  # by descriptor, with the inode that tells sockets apart
        self._waiting: dict[int, tuple[int, Caller, _Ends]] = {}
        self._ended: deque[tuple[int, Caller, _Ends]] = deque(maxlen=MOST_ENDED)

    def install(self) -> None:
        """Stand in for the methods of the event loops that are loaded and not watched yet."""
        for module, name in (("asyncio.selector_events", "BaseSelectorEventLoop"), ("uvloop", "Loop")):
            kind = getattr(sys.modules.get(module), name, None)
            if isinstance(kind, type) and id(kind) not in self._watched:
                self._watched.add(id(kind))
                self._standing.put(kind, "add_reader", self._adding)
                self._standing.put(kind, "remove_reader", self._removing)

    def remove(self) -> None:
        """Put everything back."""
        self._standing.remove()
        self._watched.clear()
        self.reset()

    def reset(self) -> None:
        """Forget what is under way, as a forked child does."""
        self._known.clear()
        self._waiting.clear()
        self._ended.clear()

    def settle(self) -> None:
        """Book the waits that have ended, but those for clients of a server of this machine's."""
        if not self._ended:
            return
        found = list(rows())
        theirs = served(found)
        while self._ended:
            elapsed, who, ends = self._ended.popleft()
            if found and ends.own not in theirs:  # without tables nothing tells who opened it
                self._ledger.cells(who, ends.name, PORTS.get(ends.port, ""))[WAITED] += elapsed

    # -- on the loop's thread ------------------------------------------------------------------------

    def _adding(self, original: Callable[..., Any]) -> Callable[..., Any]:
        begin = self._begin

        def add_reader(self: Any, fd: Any, callback: Any, *args: Any) -> Any:
            guard.run("external", begin, None, fd, sys._getframe(1))
            return original(self, fd, callback, *args)

        return add_reader

    def _removing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        waiting, end = self._waiting, self._end

        def remove_reader(self: Any, fd: Any) -> Any:
            if waiting:
                guard.run("external", end, None, fd)
            return original(self, fd)

        return remove_reader

    def _begin(self, fd: Any, frame: FrameType) -> None:
        from mystic_agent.external.between import inside_task

        descriptor = _number(fd)
        self._waiting.pop(descriptor, None)  # of a connection that was closed without being taken back
        if self._followed(descriptor) or len(self._waiting) >= MOST_WAITING:
            return
        start, last = inside_task(frame)
        who = caller(start, self._project, last)
        ends = self._ends(descriptor) if any(who) else None
        if ends is not None:
            self._waiting[descriptor] = (perf_counter_ns(), who, ends)

    def _end(self, fd: Any) -> None:
        begun = self._waiting.pop(_number(fd), None)
        if begun is not None:
            self._ended.append((perf_counter_ns() - begun[0], *begun[1:]))

    def _ends(self, descriptor: int) -> _Ends | None:
        """Return the ends of a TCP connection; None for whatever else a loop may watch."""
        inode = os.fstat(descriptor).st_ino
        known = self._known.get(descriptor)
        if known is None or known[0] != inode:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[descriptor] = (inode, self._asked(descriptor))
        return known[1]

    def _asked(self, descriptor: int) -> _Ends | None:
        import socket

        try:
            # A number of its own, since closing what asks must not close the library's.
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                if copy.family not in (socket.AF_INET, socket.AF_INET6) or copy.type != socket.SOCK_STREAM:
                    return None
                return _Ends(*peer(copy.getpeername(), self._names), copy.getsockname()[1])
        except OSError:
            return None  # no socket, or one that is not connected


def _number(fd: Any) -> int:
    return fd if type(fd) is int else int(fd.fileno())
