"""The thread between requests and the store: takes what was decoded, writes it in large transactions."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mystic_collector.store.protocol import Store, StoreError
from mystic_collector.store.records import Incoming

_log = logging.getLogger("mystic_collector.writer")
_RETAIN_SECONDS = 30.0
_AGAIN_SECONDS = 1.0
_COMPLAIN_SECONDS = 60.0
FEW = 0.5
"""Seconds between two writes for a store that wants few and large ones."""

_MOST_PER_WRITE = 4 * 2**20
"""Bytes written in one transaction, so that a reader of the newest never waits long."""


@dataclass(frozen=True, slots=True)
class WriterCounts:
    """Items (spans and points) since start: taken in, refused because the queue was full, lost to a broken store."""

    accepted: int
    written: int
    refused: int
    lost: int
    waiting: int


class Writer:
    """Bounded queue and thread in front of a store.

    While the store fails for a reason that passes, such as a full disk, what was taken waits and is tried again; once
    the queue is full, senders are told to wait, and count themselves what they cannot keep.

    Args:
        store: written and retained by this thread alone.
        most_bytes: what may wait; a single larger batch is taken when nothing waits.
        clock: Unix seconds, for retention.
        again: seconds until what could not be written is tried again.
        every: seconds between the beginnings of two writes at least, while less waits than one write takes.
    """

    def __init__(
        self,
        store: Store,
        most_bytes: int,
        clock: Callable[[], float] = time.time,
        again: float = _AGAIN_SECONDS,
        every: float = 0.0,
    ) -> None:
        self._store = store
        self._most = most_bytes
        self._clock = clock
        self._again = again
        self._every = every
        self._complained = -_COMPLAIN_SECONDS
        self._waiting: deque[Incoming] = deque()
        self._items = self._weight = 0
        self._accepted = self._written = self._refused = self._lost = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="mystic-writer", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Write what waits and end the thread; False when it did not end within ``timeout`` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def offer(self, batch: Sequence[Incoming]) -> bool:
        """Take all of ``batch``, or nothing when the queue is full."""
        items, weight = sum(one.items for one in batch), sum(one.weight for one in batch)
        with self._changed:
            if self._weight and self._weight + weight > self._most:
                self._refused += items
                return False
            self._waiting.extend(batch)
            self._items += items
            self._weight += weight
            self._accepted += items
            self._changed.notify_all()
        return True

    def drain(self, timeout: float) -> bool:
        """Wait until all that was accepted is written or lost; False after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._written + self._lost == self._accepted, timeout)

    def counts(self) -> WriterCounts:
        """Return the counts of this moment."""
        with self._changed:
            return WriterCounts(self._accepted, self._written, self._refused, self._lost, self._items)

    def _run(self) -> None:
        due = free = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping, max(0.0, due - time.monotonic()))
                self._changed.wait_for(self._enough, max(0.0, free - time.monotonic()))
                batch = self._take()
                if self._stopping and not batch:
                    return
            if batch:
                free = time.monotonic() + self._every
                self._settle(batch, self._keep(batch))
            if time.monotonic() >= due:
                self._retain()
                due = time.monotonic() + _RETAIN_SECONDS

    def _enough(self) -> bool:
        return self._stopping or self._weight >= _MOST_PER_WRITE

    def _take(self) -> list[Incoming]:
        batch: list[Incoming] = []
        weight = 0
        while self._waiting and weight < _MOST_PER_WRITE:
            batch.append(self._waiting.popleft())
            weight += batch[-1].weight
        return batch

    def _keep(self, batch: list[Incoming]) -> StoreError | None:
        try:
            self._store.write(batch)
        except StoreError as error:
            return error
        return None

    def _settle(self, batch: list[Incoming], error: StoreError | None) -> None:
        """Count what became of a batch, or put it back and wait a little."""
        items = sum(one.items for one in batch)
        with self._changed:
            later = error is not None and error.passing and not self._stopping
            if later:
                self._waiting.extendleft(reversed(batch))
            else:
                self._items -= items
                self._weight -= sum(one.weight for one in batch)
                self._written += items if error is None else 0
                self._lost += 0 if error is None else items
                self._changed.notify_all()
            waiting, lost = self._items, self._lost
        if error is not None:
            self._complain(error, waiting, lost)
        if later:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, self._again)

    def _complain(self, error: StoreError, waiting: int, lost: int) -> None:
        """Log a failure, seldom: a full disk is met every second, and logs lie on it too."""
        now = time.monotonic()
        if now - self._complained >= _COMPLAIN_SECONDS:
            self._complained = now
            _log.error("%s (%d items wait, %d are lost since the start)", error, waiting, lost)

    def _retain(self) -> None:
        try:
            self._store.retain(self._clock())
        except StoreError as error:
            _log.error("retention failed: %s", error)
