"""What waits between collecting and sending: bounded, never blocking, and with every loss counted."""

from __future__ import annotations

from collections import deque

from mystic_agent.contract.named import NamedTuple
from mystic_agent.threads import Lock

SPANS = "spans"
METRICS = "metrics"
LOGS = "logs"


class Payload(NamedTuple):
    """One encoded and compressed request.

    Attributes:
        kind: SPANS, METRICS or LOGS.
        body: what is posted.
        items: spans, functions or events in it; what is counted when it is lost.
        generation: which collection it comes from.
    """

    kind: str
    body: bytes
    items: int
    generation: int = 0


class Outbox:
    """One rule per kind: spans and logs wait in order up to a byte limit, metrics only in their latest form.

    Metrics are cumulative, so a newer collection says all that an older one said and takes its place at no
    loss. When spans or logs exceed the limit of their kind, the oldest of that kind go. Nothing here waits for anything
    but a lock that is held for a few instructions, and nothing survives a fork: the child makes its own.

    Args:
        limit_bytes: of spans.
        logs_bytes: of logs.

    Attributes:
        dropped: items lost so far, by kind; the caller may read it at any time.
    """

    def __init__(
        self,
        limit_bytes: int = 8 * 2**20,
        *,
        logs_bytes: int = 4 * 2**20,
        name: str = "",
        dropped: dict[str, int] | None = None,
    ) -> None:
        self.dropped: dict[str, int] = {} if dropped is None else dropped
        self._name = name
        self._lock = Lock()
        self._queues = {SPANS: _Queue(limit_bytes), LOGS: _Queue(logs_bytes)}
        self._puts = 0
        self._metrics: deque[Payload] = deque()
        self._generation = -1

    def beside(self, name: str) -> Outbox:
        """Return an empty outbox for a second receiver, whose losses are counted here under ``name.kind``."""
        limits = (queue.limit for queue in self._queues.values())
        return Outbox(next(limits), logs_bytes=next(limits), name=name, dropped=self.dropped)

    @property
    def waiting(self) -> int:
        """How many payloads wait."""
        return sum(len(queue.payloads) for queue in self._queues.values()) + len(self._metrics)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of spans and logs wait."""
        return sum(queue.bytes for queue in self._queues.values())

    def put(self, payload: Payload) -> None:
        """Queue spans or logs, dropping the oldest while the limit is exceeded, these themselves if they alone do."""
        with self._lock:
            self._puts += 1
            self._count(self._queues[payload.kind].append(self._puts, payload))

    def put_metrics(self, payloads: list[Payload]) -> None:
        """Queue one whole collection of metrics in place of the one that waits; its parts share a generation."""
        if not payloads:
            return
        with self._lock:
            self._metrics = deque(payloads)
            self._generation = payloads[0].generation

    def take(self) -> Payload | None:
        """Remove and return the next payload, metrics first, then what has waited longest; None when nothing waits.

        The taker owes one of: nothing (delivered), :meth:`give_back` (try again), :meth:`drop` (lost).
        """
        with self._lock:
            if self._metrics:
                return self._metrics.popleft()
            filled = [queue for queue in self._queues.values() if queue.payloads]
            return min(filled, key=_Queue.first).pop() if filled else None

    def give_back(self, payload: Payload) -> None:
        """Put a taken payload back in front; metrics only while no newer collection has come."""
        with self._lock:
            if payload.kind != METRICS:
                self._count(self._queues[payload.kind].give_back(payload))
            elif payload.generation == self._generation:
                self._metrics.appendleft(payload)

    def drop(self, kind: str, items: int) -> None:
        """Count ``items`` of ``kind`` as lost."""
        with self._lock:
            self._count([Payload(kind, b"", items)])

    def _count(self, lost: list[Payload]) -> None:
        for one in lost:
            name = f"{self._name}.{one.kind}" if self._name else one.kind
            self.dropped[name] = self.dropped.get(name, 0) + one.items


class _Queue:
    """Payloads of one kind in the order they came, each with its number in that order; not locked."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.payloads: deque[tuple[int, Payload]] = deque()

    def first(self) -> int:
        """Return the number of the payload that has waited longest."""
        return self.payloads[0][0]

    def pop(self) -> Payload:
        """Remove and return the payload that has waited longest."""
        _, payload = self.payloads.popleft()
        self.bytes -= len(payload.body)
        return payload

    def append(self, number: int, payload: Payload) -> list[Payload]:
        """Add a payload; return those that have to go."""
        self.payloads.append((number, payload))
        self.bytes += len(payload.body)
        return self._shrink()

    def give_back(self, payload: Payload) -> list[Payload]:
        """Put a payload in front of all; return those that have to go."""
        self.payloads.appendleft((0, payload))
        self.bytes += len(payload.body)
        return self._shrink()

    def _shrink(self) -> list[Payload]:
        lost = []
        while self.bytes > self.limit:
            lost.append(self.pop())
        return lost
