"""Server-sent events: bytes in, events out, within bounds."""

from __future__ import annotations

from mystic_agent.contract.named import NamedTuple

MOST_BYTES = 4 * 2**20


class Event(NamedTuple):
    """One event.

    Attributes:
        name: its ``event`` field; ``message`` when absent.
        data: its ``data`` lines joined by line feeds.
    """

    name: str
    data: str


class TooLong(ValueError):
    """An event exceeds the limit; the stream cannot be trusted any further."""


class EventReader:
    """Splits a stream into events as the HTML standard says, except that it refuses long ones.

    Args:
        limit: most bytes of one event, its field names included.
    """

    def __init__(self, limit: int = MOST_BYTES) -> None:
        self._limit = limit
        self._line = bytearray()
        self._after_return = False
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that ``piece`` completes.

        Raises:
            TooLong: when the event being read exceeds the limit.
        """
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r") if piece else self._after_return
        lines = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events: list[Event] = []
        for line in lines[:-1]:
            self._extend(line)
            event = self._end_of_line()
            if event:
                events.append(event)
        self._extend(lines[-1])
        return events

    def _extend(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise TooLong(f"an event exceeds {self._limit} bytes: the collector must send fewer hijacks")
        self._line += part

    def _end_of_line(self) -> Event | None:
        line = bytes(self._line)
        self._line.clear()
        if not line:
            event = Event(self._name or "message", b"\n".join(self._data).decode("utf-8", "replace"))
            found = bool(self._data)
            self._name, self._data, self._size = "", [], 0
            return event if found else None
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif not field:
            self._size -= len(line)  # a comment that keeps the stream alive is no part of an event
        return None
