"""Keeps the stream of hijacks open and hands over every set that arrives."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.wire import HIJACKS_EVENT
from mystic_agent.link.backoff import Backoff
from mystic_agent.link.connection import Connection
from mystic_agent.link.endpoint import Destination, Headers
from mystic_agent.link.events import EventReader, TooLong
from mystic_agent.link.gate import gate, load
from mystic_agent.link.hijack_set import HijackSet, read_hijack_set
from mystic_agent.link.reply import BadReply, Head
from mystic_agent.link.shield import Shield
from mystic_agent.threads import Event, Thread

ACCEPT: Headers = (("Accept", "text/event-stream"), ("Cache-Control", "no-store"))
OPEN_SECONDS = 5.0
# The collector sends at least a comment every 10 s; three missed ones mean that it is gone.
IDLE_SECONDS = 30.0
# A stream that lasted this long was a good one: the next attempt is quick again.
GOOD_SECONDS = 5.0
# What a stream may bring in a window. A line counts as LINE_BYTES more, for what it costs to look at it: sixteen
# megabytes of two-byte comments would keep a core busy for most of the window.
WINDOW_SECONDS, WINDOW_BYTES, LINE_BYTES = 10.0, 16 * 2**20, 100


class Flood(ValueError):
    """The stream brings more than any collector has to say."""


class Listener:
    """One daemon thread that receives hijacks.

    Args:
        destination: the collector.
        target: path and query of its stream.
        shield: where failures go, once for each outage; garbage on a stream once for each event.
        opened: called on the thread when the stream is open.
        arrived: called on the thread with each set; nothing is called for what is not one.
        idle: seconds of silence after which the stream counts as dead.

    Attributes:
        connected: whether the stream is open.
    """

    def __init__(
        self,
        destination: Destination,
        target: str,
        shield: Shield,
        *,
        opened: Callable[[], None],
        arrived: Callable[[HijackSet], None],
        idle: float = IDLE_SECONDS,
    ) -> None:
        self.connected = False
        self.thread = Thread(target=self._run, name="mystic-listen")
        self._target = target
        self._headers = (*ACCEPT, *destination.headers)
        self._connection = Connection(destination)
        self._shield = shield
        self._opened = opened
        self._arrived = arrived
        self._idle = idle
        self._backoff = Backoff()
        self._stopping = Event()
        self._faulty = False

    def stop(self) -> None:
        """Make the thread end soon; whoever needs it ended joins it."""
        self._stopping.set()
        self._connection.abort()

    def abandon(self) -> None:
        """In a forked child: close this process's copy of the socket, sending nothing and taking no lock."""
        self.connected = False
        self._connection.abort()

    def _run(self) -> None:
        load("socket", "json")
        while not self._stopping.is_set():
            started = monotonic()
            retry_after = self._shield.run("link.listen", self._attempt, None)
            self.connected = False
            self._connection.close()
            if monotonic() - started >= GOOD_SECONDS:
                self._backoff.reset()
            self._stopping.wait(self._backoff.next(retry_after))

    def _attempt(self) -> float | None:
        """Open the stream and follow it to its end; return the seconds the collector asks to wait, if it does."""
        try:
            head = self._connection.open_stream(self._target, self._headers, OPEN_SECONDS)
            if head.status != 200 or not head.headers.get("content-type", "").startswith("text/event-stream"):
                self._fail(BadReply(f"the collector answered {head.status} where the stream of hijacks was expected"))
                return head.retry_after
            self._follow(head)
        except (OSError, BadReply, TooLong, Flood) as error:
            self._fail(error)
        return None

    def _follow(self, head: Head) -> None:
        self.connected = True
        self._faulty = False
        self._shield.run("link.opened", self._opened, None)
        reader = EventReader()
        window_end, window_bytes = monotonic() + WINDOW_SECONDS, 0
        for piece in self._connection.stream(head, self._idle):
            now = monotonic()
            if now > window_end:
                window_end, window_bytes = now + WINDOW_SECONDS, 0
            window_bytes += len(piece) + LINE_BYTES * (piece.count(b"\n") + piece.count(b"\r"))
            if window_bytes > WINDOW_BYTES:
                raise Flood(f"the collector sent more in {WINDOW_SECONDS:.0f} s than any set of hijacks needs")
            for event in reader.feed(piece):
                if event.name == HIJACKS_EVENT and not self._stopping.is_set():
                    self._take(event.data)

    def _take(self, data: str) -> None:
        try:
            with gate():  # a set may bring strategies that are imported when first used
                self._shield.run("link.apply", self._arrived, None, read_hijack_set(data))
        except Invalid as error:
            self._shield.note("link.hijacks", error)

    def _fail(self, error: BaseException) -> None:
        if not self._faulty and not self._stopping.is_set():
            self._faulty = True
            self._shield.note("link.listen", error)
