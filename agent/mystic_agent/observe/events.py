"""What happened once and is worth telling, kept until the link collects it.

Law: telling never blocks, never fails for the caller and never grows: beyond the bounds an event is dropped and
counted. Nothing is redacted here; whoever tells has done it.
"""

from __future__ import annotations

from collections import deque
from time import time_ns

from mystic_agent.contract import wire
from mystic_agent.guard import guard
from mystic_agent.observe import foreign
from mystic_agent.observe.span import CURRENT, OF, place_now, span_id
from mystic_agent.records import Attribute, Event

DEBUG, INFO, WARNING, ERROR = 5, 9, 13, 17
"""OpenTelemetry's severity numbers."""

LONGEST_NAME = 200
LONGEST_BODY = 64 * 1024
LONGEST_VALUE = 16 * 1024
MOST_ATTRIBUTES = 64
_WEIGHT = 500


class EventQueue:
    """The events of one process.

    No lock: the queue's own ends are atomic, and ``+=`` on an attribute holds no call between its load and its store
    (docs/decisions/02). The bounds may be passed by as many events as threads tell at the same moment.

    Args:
        most: events kept between two collections.
        most_bytes: of them together, about.

    Attributes:
        dropped: events lost so far.
    """

    def __init__(self, most: int = 5_000, most_bytes: int = 4 * 2**20) -> None:
        self.dropped = 0
        self._most, self._most_bytes = most, most_bytes
        self._bytes = 0
        self._waiting: deque[tuple[Event, int]] = deque()

    def add(self, event: Event, size: int) -> None:
        """Keep ``event`` of about ``size`` bytes, or count it as dropped."""
        if len(self._waiting) >= self._most or self._bytes + size > self._most_bytes:
            self.dropped += 1
            return
        self._bytes += size
        self._waiting.append((event, size))

    def collect(self) -> list[Event]:
        """Return the events since the last collection, oldest first."""
        taken: list[Event] = []
        for _ in range(len(self._waiting)):
            event, size = self._waiting.popleft()
            self._bytes -= size
            taken.append(event)
        return taken

    def reset(self) -> None:
        """Forget everything, as a forked child does: its parent tells it."""
        self._waiting = deque()
        self._bytes = self.dropped = 0


class Events:
    """Where a strategy tells what happened on calls of one function.

    Args:
        function: ``module:qualname``; every event carries it.
        queue: of the process.
    """

    __slots__ = ("_function", "_queue")

    def __init__(self, function: str, queue: EventQueue) -> None:
        self._function = function
        self._queue = queue

    def put(
        self, name: str, body: str = "", /, *, severity: int = INFO, **attributes: str | int | float | bool
    ) -> None:
        """Tell one event of the running call; it carries the ids of the trace that the call is in, if any.

        Args:
            name: e.g. ``mystic.snapshot``.
            body: text; cut at LONGEST_BODY characters.
            severity: OpenTelemetry's number.
            attributes: at most MOST_ATTRIBUTES, redacted by the caller; texts are cut at LONGEST_VALUE characters.
        """
        guard.run("events", self._put, None, name, body, severity, attributes)

    def _put(self, name: str, body: str, severity: int, given: dict[str, str | int | float | bool]) -> None:
        kept: list[Attribute] = [(wire.FUNCTION, self._function)]
        size = _WEIGHT + len(body)
        for key, value in tuple(given.items())[:MOST_ATTRIBUTES]:
            if isinstance(value, str):
                value = value[:LONGEST_VALUE]
                size += len(value)
            kept.append((key, value))
        trace, span = _where()
        event = Event(name[:LONGEST_NAME], time_ns(), body[:LONGEST_BODY], severity, trace, span, tuple(kept))
        self._queue.add(event, size)


def _where() -> tuple[bytes, bytes]:
    """Return (trace id, span id) of the running call, of our trace or else of the application's own; empty for none."""
    place = place_now.get()
    if place is not None and place[OF].open and place[CURRENT] is not None:
        return place[OF].id, span_id(place[CURRENT])
    return foreign.current() or (b"", b"")


NOWHERE = Events("", EventQueue(0))
"""Drops everything: for a subject that nobody listens to."""
