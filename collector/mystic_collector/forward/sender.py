"""The thread that empties one queue into one destination."""

from __future__ import annotations

import gzip
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from mystic_collector.destination import Destination, is_near
from mystic_collector.forward.answer import LATER, NEVER, TAKEN, Answer, judge
from mystic_collector.forward.queue import Queue, Waiting
from mystic_collector.version import VERSION

_log = logging.getLogger("mystic_collector.forward")
PROTOBUF = "application/x-protobuf"
VIA_HEADER = "Mystic-Via"
MOST_PER_REQUEST = 2**20
"""Bytes that are put into one request; receivers commonly refuse above four times that."""

REASONS = ("full", "busy", "disk", "refused", "rejected")
"""Why items are dropped, as ``ForwardCounts`` says; each is counted by one thread alone."""

_NOT_READ = frozenset((400, 415))
"""What receivers answer that cannot read a compressed body."""

_MOST_ANSWER = 64 * 1024
_FAREWELL = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long is waited before a request is sent again: ``first``, then doubled up to ``most`` seconds, less a share
    of up to ``jitter`` by lot, so that many collectors do not come back at once.
    """

    first: float = 1.0
    most: float = 30.0
    jitter: float = 0.5
    lot: Callable[[], float] = field(default=random.random)

    def pause(self, failures: int) -> float:
        """Return seconds to wait after so many failures in a row."""
        return min(self.most, self.first * 2.0 ** min(failures - 1, 20)) * (1 - self.jitter * self.lot())


class Sender:
    """Sends what waits, oldest first, until told to stop.

    Args:
        destination: where to.
        queue: what waits for it.
        me: id of this collector; what carries it has come in a circle.
        pace: of requests that are sent again.
        clock: Unix seconds.

    Attributes:
        sent: items that were taken.
        dropped: reason → items that will not arrive.
        failures: requests in a row that were not answered as hoped.
        trouble: why, empty when there is none.
    """

    def __init__(
        self,
        destination: Destination,
        queue: Queue,
        me: str,
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.destination, self.queue = destination, queue
        self.sent = self.failures = 0
        self.dropped = dict.fromkeys(REASONS, 0)
        self.trouble = ""
        self._me, self._pace, self._clock = me, pace, clock
        self._split = 0
        self._packs = destination.compression == "gzip"
        self._unpacks = False
        self._more = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mystic-forward", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Tell the thread that something waits."""
        self._more.set()

    def stop(self) -> None:
        """End soon: what a receiver takes without trouble is still sent for a moment; the rest stays on disk."""
        self._ending.set()
        self._more.set()

    def join(self) -> bool:
        """Wait for the thread; False when a request is still under way and was left to itself."""
        self._thread.join(self.destination.timeout + _FAREWELL + 1)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with self._client() as client:
            last = 0.0
            while True:
                if self._ending.is_set():
                    last = last or time.monotonic() + _FAREWELL
                    if self.failures or not self.queue.items or time.monotonic() > last:
                        return
                self._more.clear()
                try:
                    batch = self.queue.oldest(1 if self._split else MOST_PER_REQUEST)
                    pause = self._step(client, batch) if batch else None
                except sqlite3.Error as error:
                    pause = self._failed(f"its queue cannot be used ({error})")
                if pause is None:
                    self._more.wait()
                elif pause:
                    self._ending.wait(pause)

    def _step(self, client: httpx.Client, batch: Sequence[Waiting]) -> float:
        """Send one request; return seconds to wait before the next."""
        answer = self._ask(client, batch)
        if answer.verdict == LATER:
            return max(self._failed(answer.reason), answer.pause)
        if answer.verdict == NEVER and answer.status in _NOT_READ and self._packs and not self._unpacks:
            return self._plainly(client, batch)
        return self._dealt(batch, answer)

    def _plainly(self, client: httpx.Client, batch: Sequence[Waiting]) -> float:
        """Send as it is what was refused compressed: of this receiver it is not known yet that it reads gzip."""
        self._packs = False
        answer = self._ask(client, batch)
        if answer.verdict == TAKEN:
            _log.warning(
                "%s does not read gzip; it is sent to as it is (MYSTIC_FORWARD_COMPRESSION=none)", self.destination.url
            )
        else:
            self._packs = True  # so that was not it
        if answer.verdict == LATER:
            return max(self._failed(answer.reason), answer.pause)
        return self._dealt(batch, answer)

    def _dealt(self, batch: Sequence[Waiting], answer: Answer) -> float:
        """Take out what was answered for good; return seconds to wait before the next."""
        if answer.verdict == NEVER and answer.splits and len(batch) > 1:
            self._split = len(batch)  # one of them may be to blame: each on its own
            return 0.0
        self._split = max(0, self._split - 1)
        gone = self.queue.done(batch)
        if answer.verdict == TAKEN:
            self._unpacks = self._packs
            self.sent += max(0, gone - answer.rejected)
            self.dropped["rejected"] += min(gone, answer.rejected)
            self._recovered()
        else:
            self.dropped["refused"] += gone
            self.failures = 0
            self._complain(f"{answer.reason}, so {gone} items were dropped")
        return 0.0

    def _ask(self, client: httpx.Client, batch: Sequence[Waiting]) -> Answer:
        signal, via = batch[0].message.signal, batch[0].message.via
        # Messages of one type, one behind the other, are one message that holds what is in all of them.
        body = b"".join(one.message.body for one in batch)
        headers = {"Content-Type": PROTOBUF, VIA_HEADER: f"{via},{self._me}" if via else self._me}
        if self._packs:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        try:
            with client.stream("POST", f"{self.destination.url}/v1/{signal}", content=body, headers=headers) as reply:
                text = b""
                for chunk in reply.iter_raw():
                    text += chunk
                    if len(text) > _MOST_ANSWER:
                        break
                return judge(signal, reply.status_code, reply.headers.get("retry-after", ""), text, self._clock())
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Answer(LATER, f"it cannot be reached ({type(error).__name__})")

    def _client(self) -> httpx.Client:
        return httpx.Client(
            headers={
                "User-Agent": f"gnosis-mystic/{VERSION}",
                "Accept-Encoding": "identity",
                **self.destination.headers,
            },
            timeout=self.destination.timeout,
            # A proxy of the environment is for the outside.
            trust_env=not is_near(urlsplit(self.destination.url).hostname or ""),
        )

    def _failed(self, why: str) -> float:
        self.failures += 1
        self._complain(why)
        return self._pace.pause(self.failures)

    def _complain(self, why: str) -> None:
        if why != self.trouble:
            _log.warning("%s: %s", self.destination.url, why)
        self.trouble = why

    def _recovered(self) -> None:
        if self.failures:
            _log.info("%s takes telemetry again; %d items wait", self.destination.url, self.queue.items)
        self.failures = 0
        self.trouble = ""
