"""Hands batches to a foreign exporter on a thread of its own, since nobody knows how long that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from mystic_agent.link.shield import Shield
from mystic_agent.link.ticket import Ticket
from mystic_agent.outbox import LOGS, SPANS, Outbox
from mystic_agent.records import Batch, Count, Event, Reading, SpanRecord
from mystic_agent.threads import Condition, Thread

MOST_SPANS = 10_000
MOST_EVENTS = 5_000


class Relay:
    """One daemon thread that calls ``forward`` with what has come since the last call.

    While ``forward`` is busy, spans wait up to MOST_SPANS and events up to MOST_EVENTS, the oldest being dropped and
    counted, and of readings and counts only the latest.

    Args:
        forward: the exporter. When it has a method ``flush(timeout)``, a flush of the link calls that too; when it
            has ``bind(flush)``, it is given the link's flush at the start.
        outbox: where losses are counted.
        shield: where its failures go.
    """

    def __init__(self, forward: Callable[[Batch], None], outbox: Outbox, shield: Shield) -> None:
        self.thread = Thread(target=self._run, name="mystic-relay")
        self._forward = forward
        self._flush: Callable[[float], object] | None = getattr(forward, "flush", None)
        self._outbox = outbox
        self._shield = shield
        self._condition = Condition()
        self._stopping = False
        self._spans: list[SpanRecord] = []
        self._events: list[Event] = []
        self._figures: tuple[Sequence[Reading], Sequence[Count]] | None = None
        self._tickets: list[tuple[Ticket, float]] = []

    def put(self, batch: Batch) -> None:
        """Queue ``batch``."""
        with self._condition:
            self._spans += batch.spans
            self._events += batch.events
            lost = {SPANS: len(self._spans) - MOST_SPANS, LOGS: len(self._events) - MOST_EVENTS}
            del self._spans[: max(0, lost[SPANS])]
            del self._events[: max(0, lost[LOGS])]
            self._figures = (batch.readings, batch.counts)
            self._condition.notify()
        for kind, items in lost.items():
            if items > 0:
                self._outbox.drop(kind, items)

    def flush(self, ticket: Ticket, timeout: float) -> None:
        """Settle ``ticket`` when what has been queued was taken by the exporter."""
        with self._condition:
            self._tickets.append((ticket, monotonic() + timeout))
            self._condition.notify()

    def stop(self) -> None:
        """Make the thread end as soon as the exporter lets it."""
        with self._condition:
            self._stopping = True
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopping or self._figures is not None or self._tickets)
                if self._stopping:
                    break
                (readings, counts), self._figures = self._figures or ((), ()), None
                spans, self._spans = self._spans, []
                events, self._events = self._events, []
                tickets, self._tickets = self._tickets, []
            batch = Batch(spans, list(readings), list(counts), events)
            taken = self._shield.run("link.forward", self._hand_over, False, batch)
            for ticket, deadline in tickets:
                flushed = taken and self._shield.run("link.forward", self._flush_exporter, False, deadline)
                ticket.settle(flushed)
        for ticket, _ in self._tickets:
            ticket.settle(False)

    def _hand_over(self, batch: Batch) -> bool:
        if batch.spans or batch.readings or batch.counts or batch.events:
            self._forward(batch)
        return True

    def _flush_exporter(self, deadline: float) -> bool:
        if self._flush is not None:
            self._flush(max(0.0, deadline - monotonic()))
        return True
