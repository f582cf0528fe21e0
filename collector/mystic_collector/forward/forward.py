"""All destinations of one collector, behind one call that never waits."""

from __future__ import annotations

import hashlib
import logging
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mystic_collector.destination import Destination
from mystic_collector.forward.queue import Message, Queue
from mystic_collector.forward.sender import Pace, Sender
from mystic_collector.store.protocol import StoreError

_log = logging.getLogger("mystic_collector.forward")
MOST_IN_MEMORY = 16 * 2**20
_MOST_HOPS = 8


@dataclass(frozen=True, slots=True)
class ForwardCounts:
    """What became of the items for one destination since start.

    Attributes:
        sent: items that were taken.
        dropped: reason → items: ``full`` (the oldest, over the bound), ``busy`` (came faster than a disk could keep
            them), ``disk`` (could not be kept), ``refused`` or ``rejected`` (by the receiver).
        waiting: items on disk, from before this start too.
        bytes: of them.
        trouble: why nothing is taken at present, or the last refusal; empty for neither.
    """

    url: str
    signals: Sequence[str]
    sent: int
    dropped: dict[str, int]
    waiting: int
    bytes: int
    trouble: str

    def told(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__} | {"signals": list(self.signals)}


class Forward:
    """Sends OTLP on.

    Args:
        folder: where queues lie, a file for each destination.
        destinations: whom to; with none, nothing is kept and no thread runs.
        most_bytes: that wait for one destination.
        most_in_memory: bytes on their way to the disk.
        pace: of requests that are sent again.

    Raises:
        StoreError: when a queue cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        destinations: Sequence[Destination],
        most_bytes: int = 256 * 2**20,
        *,
        most_in_memory: int = MOST_IN_MEMORY,
        pace: Pace = Pace(),  # noqa: B008 - frozen
    ) -> None:
        self.me = secrets.token_hex(8)
        self._most = most_in_memory
        self._coming: deque[Message] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._keeping = self._ending = False
        self._senders: list[Sender] = []
        self._thread: threading.Thread | None = None
        for one in destinations:
            path = folder / f"{hashlib.sha256(one.url.encode()).hexdigest()[:16]}.db"
            try:
                queue = Queue(path, most_bytes)
            except (OSError, sqlite3.Error) as error:
                self.close()
                message = f"cannot open {str(path)!r}: {error}; move it away or choose MYSTIC_DATA_DIR"
                raise StoreError(message) from error
            self._senders.append(Sender(one, queue, self.me, pace))

    def start(self) -> None:
        """Start the threads, if there is anybody to send to."""
        if not self._senders:
            return
        self._thread = threading.Thread(target=self._run, name="mystic-forward-intake", daemon=True)
        self._thread.start()
        for sender in self._senders:
            sender.start()

    def offer(self, signal: str, body: bytes, items: int, via: str = "") -> None:
        """Take a request that came in, in protobuf; never waits, never fails.

        Args:
            via: the header in which collectors that sent it on named themselves.
        """
        passed = via.split(",") if via else []
        if not self._senders or not body or self.me in passed or len(passed) >= _MOST_HOPS:
            return
        with self._changed:
            if self._weight + len(body) > self._most and self._coming:
                for sender in self._taking(signal):
                    sender.dropped["busy"] += items
                return
            self._coming.append(Message(signal, body, items, via[:200]))
            self._weight += len(body)
            self._changed.notify_all()

    def kept(self, timeout: float) -> bool:
        """Wait until all that was offered is on disk; False after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._coming and not self._keeping, timeout)

    def counts(self) -> list[ForwardCounts]:
        """Return the counts of this moment, by destination."""
        return [
            ForwardCounts(
                url=one.destination.url,
                signals=sorted(one.destination.signals),
                sent=one.sent,
                dropped=dict(one.dropped),
                waiting=one.queue.items,
                bytes=one.queue.bytes,
                trouble=one.trouble,
            )
            for one in self._senders
        ]

    def stop(self) -> None:
        """Put what came on disk and end the threads."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join()
        for sender in self._senders:
            sender.stop()
        for sender in self._senders:
            if not sender.join():
                _log.warning("%s did not answer in time; what it may have got is sent again", sender.destination.url)

    def close(self) -> None:
        """Close the files."""
        for sender in self._senders:
            sender.queue.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._coming or self._ending)
                batch = list(self._coming)
                self._coming.clear()
                if not batch:
                    return
                self._keeping = True
            for signal in {one.signal for one in batch}:
                for sender in self._taking(signal):
                    _keep(sender, [one for one in batch if one.signal == signal])
            with self._changed:
                self._weight -= sum(len(one.body) for one in batch)
                self._keeping = False
                self._changed.notify_all()

    def _taking(self, signal: str) -> list[Sender]:
        return [one for one in self._senders if signal in one.destination.signals]


def _keep(sender: Sender, messages: Sequence[Message]) -> None:
    try:
        sender.dropped["full"] += sender.queue.put(messages)
    except sqlite3.Error as error:
        sender.dropped["disk"] += sum(one.items for one in messages)
        _log.error("%s: what came cannot be kept (%s); it is dropped", sender.destination.url, error)
    sender.wake()
