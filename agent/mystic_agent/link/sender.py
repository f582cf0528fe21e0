"""Takes payloads from an outbox and posts them to one destination, with patience and without losing count."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from time import monotonic

from mystic_agent.link.backoff import Backoff
from mystic_agent.link.connection import Connection
from mystic_agent.link.endpoint import Destination, Headers
from mystic_agent.link.gate import load
from mystic_agent.link.packing import plain
from mystic_agent.link.reply import BadReply, Head
from mystic_agent.link.shield import Shield
from mystic_agent.link.ticket import Ticket
from mystic_agent.otlp.reply import read_rejection
from mystic_agent.outbox import LOGS, Outbox, Payload
from mystic_agent.threads import Condition, Thread

PROTOBUF: Headers = (("Content-Type", "application/x-protobuf"),)
GZIP: Headers = (("Content-Encoding", "gzip"),)
_UNREADABLE = (400, 415)  # what servers answer to a compression they do not know
# Answers that say "not now" or "not you" rather than "not this": the same payload may be taken later.
_LATER = frozenset((401, 403, 404, 407, 408, 425, 429))
_NOT_HERE = (404, 405, 501)  # what receivers of spans and metrics that take no logs answer to logs
_MOST_ANSWERS = 5


class Outcome(Enum):
    """What became of one payload."""

    DELIVERED = "delivered"
    LATER = "later"
    REFUSED = "refused"


class Refused(Exception):
    """The server answered with a status that is no success; told to people, and raised to nobody."""


class Sender:
    """One daemon thread that drains one outbox into one destination.

    Args:
        destination: where to.
        outbox: from where; another thread fills it and then calls :meth:`wake`.
        shield: where failures go, once for each outage.
        name: of the thread.
        delivered: called on the thread with each payload that was accepted.
        errand: called on the thread with the connection before payloads are sent, to send something else on it;
            OSError or BadReply from it count as a failure of the destination.
    """

    def __init__(
        self,
        destination: Destination,
        outbox: Outbox,
        shield: Shield,
        name: str,
        *,
        delivered: Callable[[Payload], None],
        errand: Callable[[Connection], None] | None = None,
    ) -> None:
        self.destination = destination
        self.outbox = outbox
        self.thread = Thread(target=self._run, name=name)
        self._shield = shield
        self._delivered = delivered
        self._errand = errand
        self._gzip = destination.gzip
        self._connection = Connection(destination)
        self._backoff = Backoff()
        self._not_before = 0.0
        self._asked_to_wait = False
        self._answers: tuple[Payload | None, int] = (None, 0)
        self._condition = Condition()
        self._woken = False
        self._stopping = False
        self._tickets: list[Ticket] = []
        self._faulty = False

    def wake(self, *, ticket: Ticket | None = None, now: bool = False) -> None:
        """Say that there is something to send.

        Args:
            ticket: to be settled by one attempt that does not wait for the back-off.
            now: forget the back-off, because the destination has just been seen alive; not what it asked for itself.
        """
        with self._condition:
            if now and not self._asked_to_wait:
                self._not_before = 0.0
            if ticket is not None:
                self._tickets.append(ticket)
            self._woken = True
            self._condition.notify()

    def stop(self) -> None:
        """Make the thread end soon; whoever needs it ended joins it."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._connection.abort()

    def abandon(self) -> None:
        """In a forked child: close this process's copy of the socket, sending nothing and taking no lock."""
        self._connection.abort()

    def _run(self) -> None:
        load("socket", "zlib", "json")
        while True:
            tickets = self._wait()
            if self._stopping:
                break
            sent = self._shield.run("link.send", self._drain, False)
            for ticket in tickets:
                ticket.settle(sent)
        self._connection.close()
        for ticket in self._tickets:
            ticket.settle(False)

    def _wait(self) -> list[Ticket]:
        """Wait until there is something to do and it may be done; return the tickets to settle."""
        with self._condition:
            while not (self._stopping or self._tickets):
                left = self._not_before - monotonic()
                if self._woken and left <= 0:
                    break
                self._condition.wait(left if self._woken else None)
            self._woken = False
            tickets, self._tickets = self._tickets, []
            return tickets

    def _drain(self) -> bool:
        """Send all that waits; False at the first that has to wait longer."""
        if self._errand is not None:
            try:
                self._errand(self._connection)
            except (OSError, BadReply) as error:
                self._fail(error)
                return False
        while not self._stopping and (payload := self.outbox.take()) is not None:
            outcome = Outcome.REFUSED
            settled = False
            try:
                outcome = self._send(payload)
                settled = True
            finally:
                if not settled:  # a failure nobody thought of: the payload is lost, but not uncounted
                    self.outbox.drop(payload.kind, payload.items)
            if outcome is Outcome.LATER:
                return False
        return not self._stopping

    def _send(self, payload: Payload) -> Outcome:
        path = self.destination.paths.get(payload.kind)
        if path is None:
            return Outcome.DELIVERED
        try:
            head, body = self._post(path, payload.body)
        except (OSError, BadReply) as error:
            self.outbox.give_back(payload)
            self._fail(error)
            return Outcome.LATER
        outcome = self._judge(payload, head)
        if outcome is Outcome.DELIVERED:
            self._succeed(payload, body)
            return outcome
        refusal = Refused(f"{self.destination.authority} answered {head.status} to POST {path}")
        if outcome is Outcome.LATER:
            self.outbox.give_back(payload)
            self._fail(refusal, head.retry_after)
        else:
            self.outbox.drop(payload.kind, payload.items)
            self._shield.note("link.send", refusal)
        return outcome

    def _post(self, path: str, body: bytes) -> tuple[Head, bytes]:
        """Post compressed; to a server that cannot read that, plain, from then on if it takes it."""
        headers = (*PROTOBUF, *self.destination.headers)
        timeout = self.destination.timeout
        if self._gzip:
            head, reply = self._connection.post(path, (*GZIP, *headers), body, timeout)
            if head.status not in _UNREADABLE:
                return head, reply
        head, reply = self._connection.post(path, headers, plain(body), timeout)
        self._gzip = self._gzip and not 200 <= head.status < 300
        return head, reply

    def _judge(self, payload: Payload, head: Head) -> Outcome:
        if 200 <= head.status < 300:
            return Outcome.DELIVERED
        if 400 <= head.status < 500 and head.status not in _LATER:
            return Outcome.REFUSED
        if payload.kind == LOGS and head.status in _NOT_HERE:  # waiting would hold up what it does take
            return Outcome.REFUSED
        if head.status in (429, 502, 503, 504) or head.status < 500:
            return Outcome.LATER
        # Other 5xx: perhaps it is this very payload that breaks the server, and it must not block the others.
        known, answers = self._answers
        self._answers = (payload, answers + 1 if known is payload else 1)
        return Outcome.REFUSED if self._answers[1] >= _MOST_ANSWERS else Outcome.LATER

    def _succeed(self, payload: Payload, body: bytes) -> None:
        self._backoff.reset()
        self._asked_to_wait = False
        self._faulty = False
        rejection = read_rejection(body)
        if rejection.items:
            self.outbox.drop(payload.kind, min(rejection.items, payload.items))
            self._shield.note("link.rejected", Refused(f"{rejection.items} {payload.kind}: {rejection.reason!r}"))
        self._delivered(payload)

    def _fail(self, error: BaseException, retry_after: float | None = None) -> None:
        """Wait before the next attempt; an outage is told once, not at every attempt."""
        with self._condition:
            self._asked_to_wait = retry_after is not None
            self._not_before = monotonic() + self._backoff.next(retry_after)
            self._woken = True
        if not self._faulty and not self._stopping:
            self._faulty = True
            self._shield.note("link.send", error)
