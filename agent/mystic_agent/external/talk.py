"""Connections that this process has opened, and the requests made on them, whoever carries the bytes."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

from mystic_agent.external.caller import Caller, caller
from mystic_agent.external.ledger import CONNECTIONS, ERRORS, OPERATIONS, WAITED, Cells, Ledger
from mystic_agent.external.peer import peer, protocol
from mystic_agent.guard import FAULTS

_SNIFFED = 64


class Talk:
    """One connection that this process has opened.

    Attributes:
        peer: how the other side is called.
        port: its port, or 0.
        opener: who connected.
        opening: nanoseconds that connecting took, until they are added up with the first request; -1 afterwards.
        cells: where what happens is added up; None while nothing has been sent or received.
        asking: bytes of the present request have been sent, and none of its answer received.
        sent_at: ``perf_counter_ns`` of the last bytes sent that nothing has answered yet; 0 for none.
        sending, receiving: a method of the socket is under way, which may call others.
    """

    __slots__ = ("asking", "cells", "opener", "opening", "peer", "port", "receiving", "sending", "sent_at")

    def __init__(self, name: str, port: int, opener: Caller) -> None:
        self.peer = name
        self.port = port
        self.opener = opener
        self.opening = 0
        self.cells: Cells | None = None
        self.asking = self.sending = self.receiving = False
        self.sent_at = 0


class Talking:
    """Where connections and requests begin.

    Args:
        ledger: where sums are kept.
        project: true of the names of functions that are the project's own.
    """

    def __init__(self, ledger: Ledger, project: Callable[[str], bool]) -> None:
        self._ledger = ledger
        self._project = project

    def open(self, address: Any, frame: FrameType | None, names: dict[str, str], last: FrameType | None = None) -> Talk:
        """Return a connection that is being opened; the frames as for ``caller``, ``names`` as for ``peer``."""
        return Talk(*peer(address, names), caller(frame, self._project, last))

    def fail(self, talk: Talk) -> None:
        """Count a connection that could not be opened."""
        self.begin(talk, talk.opener, b"")[ERRORS] += 1

    def begin(self, talk: Talk, who: Caller, first: bytes) -> Cells:
        """Return where what happens from now on is added up; the first time with what it took to connect."""
        cells = talk.cells = self._ledger.cells(who, talk.peer, protocol(talk.port, first))
        if talk.opening >= 0:
            cells[CONNECTIONS] += 1
            cells[WAITED] += talk.opening
            talk.opening = -1
        return cells

    def ask(self, talk: Talk, first: Any, frame: FrameType | None, last: FrameType | None = None) -> None:
        """Begin a request, whose first bytes are given."""
        start = bytes(memoryview(first)[:_SNIFFED]) if type(first) in (bytes, bytearray, memoryview) else b""
        who = caller(frame, self._project, last)
        self.begin(talk, who if any(who) else talk.opener, start)[OPERATIONS] += 1
        talk.asking = True


def size(sent: Any) -> int:
    """Return how many bytes are in what is sent."""
    try:
        return memoryview(sent).nbytes
    except FAULTS:
        return 0
