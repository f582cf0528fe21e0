"""The link of one process: its threads and what they hand to each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, time_ns
from typing import TYPE_CHECKING, TypeVar

from mystic_agent.link.endpoint import Endpoint
from mystic_agent.link.gate import gate, load
from mystic_agent.link.hijack_set import HijackSet
from mystic_agent.link.ledger import Ledger
from mystic_agent.link.listener import Listener
from mystic_agent.link.packing import pack_events, pack_metrics, pack_spans
from mystic_agent.link.relay import Relay
from mystic_agent.link.reporter import Reporter
from mystic_agent.link.sender import Sender
from mystic_agent.link.shield import Shield
from mystic_agent.link.ticket import Ticket
from mystic_agent.outbox import LOGS, SPANS, Outbox, Payload
from mystic_agent.records import Batch
from mystic_agent.threads import Condition, Thread

if TYPE_CHECKING:
    from mystic_agent.contract.report import Report

_R = TypeVar("_R")
Apply = Callable[[HijackSet], None]


class Link:
    """Collects every ``interval`` seconds, sends, reports, and receives hijacks.

    Threads: ``mystic-link`` collects and encodes, ``mystic-send`` posts to the collector, ``mystic-listen``
    follows its stream, and one ``mystic-forward`` posts to each further receiver, so that none waits for another.

    A link belongs to the process that made it. In a forked child, make another and :meth:`abandon` this one.

    Args:
        endpoint: the collector, and further receivers.
        collect: returns what there is to say, or None; on ``mystic-link``.
        report: ``report(True)`` returns a complete report, ``report(False)`` the changes or None; on ``mystic-send``.
        apply: takes every set received; on ``mystic-listen``.
        resource: from :func:`mystic_agent.otlp.encode_resource`.
        start_ns: Unix nanoseconds since when the figures count.
        outbox: where payloads wait for the collector; its ``dropped`` also counts what further receivers lost.
        interval: seconds between two collections.
        on_fault: takes (where, error), on any of the threads.
        forward: takes each batch as well, on ``mystic-relay``; see :class:`~mystic_agent.link.relay.Relay`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        collect: Callable[[], Batch | None],
        report: Callable[[bool], Report | None],
        apply: Apply,
        resource: bytes,
        start_ns: int,
        outbox: Outbox,
        interval: float = 1.0,
        on_fault: Callable[[str, BaseException], None],
        forward: Callable[[Batch], None] | None = None,
    ) -> None:
        self._collect = collect
        self._apply = apply
        self._resource = resource
        self._start_ns = start_ns
        self._interval = interval
        self._shield = Shield(on_fault)
        self._relay = Relay(forward, outbox, self._shield) if forward is not None else None
        self._pid = os.getpid()
        bind = getattr(forward, "bind", None)
        if bind is not None:
            bind(self.flush)
        self._condition = Condition()
        self._due = False
        self._stopping = False
        self._tickets: list[tuple[Ticket, float]] = []
        self._reporter = Reporter(endpoint, report, self._shield)
        self._senders = self._make_senders(endpoint, outbox)
        self._ledger = Ledger(sum(1 for sender in self._senders if sender.destination.paths))
        self._listener = Listener(
            endpoint.collector(), endpoint.stream_target(), self._shield, opened=self._opened, arrived=self._arrived
        )
        self._thread = Thread(target=self._run, name="mystic-link")

    def _make_senders(self, endpoint: Endpoint, outbox: Outbox) -> list[Sender]:
        collector = Sender(
            endpoint.collector(),
            outbox,
            self._shield,
            "mystic-send",
            delivered=self._delivered,
            errand=self._reporter.post,
        )
        others = [
            Sender(other, outbox.beside(other.authority), self._shield, "mystic-forward", delivered=self._delivered)
            for other in endpoint.others()
        ]
        return [collector, *others]

    @property
    def connected(self) -> bool:
        """Whether the collector's stream of hijacks is open."""
        return self._listener.connected

    def identities(self) -> set[int]:
        """Return the identities of the running threads, so that what they call is told from the application."""
        return {thread.ident for thread in self._threads() if thread.ident is not None}

    def start(self) -> None:
        """Start the threads.

        Raises:
            RuntimeError: when the interpreter starts no more threads, because it is about to end.
        """
        for thread in self._threads():
            thread.start()

    def wake(self) -> None:
        """Collect and report now instead of at the next interval."""
        with self._condition:
            self._due = True
            self._condition.notify()

    def flush(self, timeout: float) -> bool:
        """Collect and send once more; True when everything was taken by every receiver within ``timeout`` seconds.

        One attempt, whatever the back-off says: with the collector down it returns as soon as that is known.
        """
        if os.getpid() != self._pid or not self._thread.is_alive():
            return False
        ticket = Ticket(len(self._senders) + (self._relay is not None))
        with self._condition:
            self._tickets.append((ticket, timeout))
            self._condition.notify()
        return ticket.wait(timeout)

    def stop(self, timeout: float) -> None:
        """End the threads and close the sockets, waiting at most ``timeout`` seconds in all; nothing more is sent."""
        if os.getpid() != self._pid:
            self.abandon()
            return
        deadline = monotonic() + timeout
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._listener.stop()
        for sender in self._senders:
            sender.stop()
        if self._relay is not None:
            self._relay.stop()
        for thread in self._threads():
            if thread.ident is not None:
                thread.join(max(0.0, deadline - monotonic()))

    def abandon(self) -> None:
        """In a forked child: close this process's copies of the parent's sockets, sending nothing, taking no lock."""
        self._listener.abandon()
        for sender in self._senders:
            sender.abandon()

    def _threads(self) -> list[Thread]:
        relay = [self._relay.thread] if self._relay is not None else []
        return [self._thread, self._listener.thread, *(sender.thread for sender in self._senders), *relay]

    def _run(self) -> None:
        load("zlib")
        due_at = monotonic()
        while True:
            tickets = self._wait(due_at)
            if self._stopping:
                break
            due_at = max(due_at + self._interval, monotonic())
            collected = self._shield.run("link.collect", self._once, False)
            for sender in self._senders:
                sender.wake()
            for ticket, timeout in tickets:
                self._pass_on(ticket, timeout, collected)
        for ticket, _ in self._tickets:
            ticket.settle(False, ticket.parties)

    def _wait(self, due_at: float) -> list[tuple[Ticket, float]]:
        with self._condition:
            while not (self._stopping or self._due or self._tickets):
                left = due_at - monotonic()
                if left <= 0:
                    break
                self._condition.wait(left)
            self._due = False
            tickets, self._tickets = self._tickets, []
            return tickets

    def _pass_on(self, ticket: Ticket, timeout: float, collected: bool) -> None:
        if not collected:
            ticket.settle(False, ticket.parties)
            return
        for sender in self._senders:
            sender.wake(ticket=ticket)
        if self._relay is not None:
            self._relay.flush(ticket, timeout)

    def _once(self) -> bool:
        """Collect and fill the outboxes."""
        with gate():
            batch = self._collect()
        if batch is None:
            return True
        if self._relay is not None:
            self._relay.put(batch)
        receivers = [sender.outbox for sender in self._senders if sender.destination.paths]
        if receivers:
            return self._fill(receivers, batch)
        return True

    def _fill(self, outboxes: list[Outbox], batch: Batch) -> bool:
        """Put a batch into the outboxes; True when all of it could be packed."""
        sound = self._shield.run("link.collect", self._pack, False, outboxes, SPANS, batch.spans, pack_spans)
        sound &= self._shield.run("link.collect", self._pack, False, outboxes, LOGS, batch.events, pack_events)
        generation, readings = self._ledger.select(batch.readings, monotonic())
        metrics = pack_metrics(
            self._resource,
            readings,
            batch.counts,
            generation=generation,
            start_ns=self._start_ns,
            now_ns=time_ns(),
        )
        self._ledger.sent(generation, readings, len(metrics))
        for outbox in outboxes:
            outbox.put_metrics(metrics)
        return sound

    def _pack(
        self,
        outboxes: list[Outbox],
        kind: str,
        records: Sequence[_R],
        pack: Callable[[bytes, Sequence[_R]], Iterable[Payload]],
    ) -> bool:
        """Put records into the outboxes; what cannot be packed is lost, but not uncounted."""
        packed: list[Payload] | None = None
        try:
            packed = list(pack(self._resource, records))
        finally:
            lost = len(records) if packed is None else 0
            for outbox in outboxes if lost else []:
                outbox.drop(kind, lost)
        for outbox in outboxes:
            for payload in packed:
                outbox.put(payload)
        return True

    def _delivered(self, payload: Payload) -> None:
        if payload.generation:
            self._ledger.delivered(payload.generation)

    def _opened(self) -> None:
        """The collector is there, perhaps again and with nothing in its memory: say everything."""
        self._ledger.forget()
        self._reporter.start_over()
        self._senders[0].wake(now=True)
        self.wake()

    def _arrived(self, received: HijackSet) -> None:
        try:
            self._apply(received)
        finally:
            self._senders[0].wake()
