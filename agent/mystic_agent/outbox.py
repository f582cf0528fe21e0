"""What waits between collecting and sending: bounded, never blocking, and with every loss counted."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import NamedTuple

SPANS = "spans"
METRICS = "metrics"


class Payload(NamedTuple):
    """One encoded and compressed request.

    Attributes:
        kind: SPANS or METRICS.
        body: what is posted.
        items: spans or functions in it; what is counted when it is lost.
        generation: which collection it comes from.
    """

    kind: str
    body: bytes
    items: int
    generation: int = 0


class Outbox:
    """A queue with one rule per kind: spans wait in order up to a byte limit, metrics only in their latest form.

    Metrics are cumulative, so a newer collection says all that an older one said and takes its place at no
    loss. When spans exceed the limit the oldest go. Nothing here waits for anything but a lock that is held
    for a few instructions, and nothing survives a fork: the child makes its own.

    Attributes:
        dropped: items lost so far, by kind; the caller may read it at any time.
    """

    def __init__(self, limit_bytes: int = 8 * 2**20, *, name: str = "", dropped: dict[str, int] | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.dropped: dict[str, int] = {} if dropped is None else dropped
        self._prefix = f"{name}." if name else ""
        self._lock = Lock()
        self._spans: deque[Payload] = deque()
        self._bytes = 0
        self._metrics: deque[Payload] = deque()
        self._generation = -1

    def beside(self, name: str) -> Outbox:
        """Return an empty outbox for a second receiver, whose losses are counted here under ``name.kind``."""
        return Outbox(self.limit_bytes, name=name, dropped=self.dropped)

    @property
    def waiting(self) -> int:
        """How many payloads wait."""
        return len(self._spans) + len(self._metrics)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of spans wait."""
        return self._bytes

    def put_spans(self, payload: Payload) -> None:
        """Queue spans, dropping the oldest while the limit is exceeded, this payload itself if it alone exceeds it."""
        with self._lock:
            self._spans.append(payload)
            self._bytes += len(payload.body)
            self._shrink()

    def put_metrics(self, payloads: list[Payload]) -> None:
        """Queue one whole collection of metrics in place of the one that waits; its parts share a generation."""
        if not payloads:
            return
        with self._lock:
            self._metrics = deque(payloads)
            self._generation = payloads[0].generation

    def take(self) -> Payload | None:
        """Remove and return the next payload, metrics first; None when nothing waits.

        The taker owes one of: nothing (delivered), :meth:`give_back` (try again), :meth:`drop` (lost).
        """
        with self._lock:
            if self._metrics:
                return self._metrics.popleft()
            if not self._spans:
                return None
            payload = self._spans.popleft()
            self._bytes -= len(payload.body)
            return payload

    def give_back(self, payload: Payload) -> None:
        """Put a taken payload back in front; metrics only while no newer collection has come."""
        with self._lock:
            if payload.kind == METRICS:
                if payload.generation == self._generation:
                    self._metrics.appendleft(payload)
                return
            self._spans.appendleft(payload)
            self._bytes += len(payload.body)
            self._shrink()

    def drop(self, kind: str, items: int) -> None:
        """Count ``items`` of ``kind`` as lost."""
        with self._lock:
            self._count(kind, items)

    def _shrink(self) -> None:
        while self._bytes > self.limit_bytes:
            oldest = self._spans.popleft()
            self._bytes -= len(oldest.body)
            self._count(SPANS, oldest.items)

    def _count(self, kind: str, items: int) -> None:
        name = self._prefix + kind
        self.dropped[name] = self.dropped.get(name, 0) + items
