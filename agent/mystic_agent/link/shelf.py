"""Shared cache entries at the collector: asked by a thread of ours, so that callers wait briefly and write later.

One daemon thread holds one connection. What is asked for meanwhile goes into one request; what is to be kept waits in a
bounded queue behind that. A collector that does not answer, or not in time, is left alone for a while: until it answers
again, which the thread finds out by itself, nobody waits for it at all.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from mystic_agent.contract import wire
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.frames import pack, unpack
from mystic_agent.guard import FAULTS, guard
from mystic_agent.link.backoff import Backoff
from mystic_agent.link.endpoint import Destination, Headers
from mystic_agent.link.errand import Errand
from mystic_agent.link.gate import load
from mystic_agent.link.reply import BadReply
from mystic_agent.threads import Event, get_ident

if TYPE_CHECKING:
    import asyncio

LOOKUP_SECONDS = 0.1
REQUEST_SECONDS = 1.0
MOST_AT_ONCE = 32
MOST_WAITING = 1000
MOST_QUEUED_BYTES = 8 * 2**20
MOST_REPLY_BYTES = 4 * 2**20
MOST_LATE = 3
LAST_SECONDS = 0.1
_TTL = struct.Struct(">d")
_BYTES: Headers = (("Content-Type", "application/octet-stream"),)


class Question:
    """One lookup that somebody waits for."""

    __slots__ = ("_tell", "answer", "function", "key")

    def __init__(self, function: str, key: str, tell: Callable[[], object]) -> None:
        self.function = function
        self.key = key
        self.answer: bytes | None = None
        self._tell = tell

    def settle(self, answer: bytes | None) -> None:
        """Give the answer to whoever still waits."""
        self.answer = answer
        guard.run("cache.settle", self._tell, None)


class CollectorShelf(Errand):
    """The shelf of one process at one collector; see :class:`mystic_agent.cache.shared.Shelf`.

    Args:
        destination: the collector.
        patience: seconds a caller waits at most.
        started: takes the identity of the thread, when it runs.
        backoff: how long to leave a collector alone.

    Attributes:
        dropped: entries that could not be handed over.
    """

    def __init__(
        self,
        destination: Destination,
        patience: float = LOOKUP_SECONDS,
        started: Callable[[int], object] = lambda identity: None,
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._patience = patience
        super().__init__("mystic-cache", destination, started, backoff)

    def _begin(self) -> None:
        super()._begin()
        self._questions: deque[Question] = deque()
        self._entries: deque[tuple[str, str, bytes, float]] = deque()
        self._queued = 0
        self._away = False
        self._late = 0

    @property
    def reachable(self) -> bool:
        """False while the collector is left alone."""
        return not (self._away or self._stopping)

    # -- callers -----------------------------------------------------------------------------------------------------

    def find(self, function: str, key: str) -> bytes | None:
        """Return what is kept, or None; what the thread that answers calls is not made to wait for itself."""
        told = Event()
        question = Question(function, key, told.set)
        if not self._ask(question):
            return None
        return self._given(question, told.wait(self._patience))

    async def find_async(self, function: str, key: str) -> bytes | None:
        """As :meth:`find`, without holding up the running event loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        question = Question(function, key, lambda: loop.call_soon_threadsafe(_done, future))
        if not self._ask(question):
            return None
        answered, _ = await asyncio.wait((future,), timeout=self._patience)
        return self._given(question, bool(answered))

    def _given(self, question: Question, in_time: bool) -> bytes | None:
        self._late = 0 if in_time else self._late + 1
        if self._late >= MOST_LATE:
            self._away = True  # the thread, which has the question, will see it
        return question.answer

    def put(self, function: str, key: str, value: bytes, ttl: float) -> None:
        """Have ``value`` kept; when the queue is full the oldest goes."""
        if not self._ready():
            self.dropped += 1
            return
        with self._condition:
            self._entries.append((function, key, value, ttl))
            self._queued += len(value)
            while self._queued > MOST_QUEUED_BYTES:
                self._queued -= len(self._entries.popleft()[2])
                self.dropped += 1
            self._condition.notify()

    def _ask(self, question: Question) -> bool:
        if not self._ready() or len(self._questions) >= MOST_WAITING:
            return False
        with self._condition:
            self._questions.append(question)
            self._condition.notify()
        return True

    def _ready(self) -> bool:
        """True when there is a thread to hand something to, which is started when first needed."""
        if self._away or self._stopping or os.getpid() != self._pid:
            return False
        thread = self._thread
        if thread is None:
            with self._condition:
                return self._need()
        return thread.ident != get_ident()

    def stop(self, timeout: float = LAST_SECONDS) -> None:
        """As :meth:`Errand.stop`."""
        super().stop(timeout)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._started(get_ident())
        load("socket")
        while self._wait():
            try:
                self._work()
            except (OSError, BadReply, Invalid) as error:
                guard.note("cache.shelf", error)
                self._leave_alone()
            except FAULTS as error:
                guard.note("cache.shelf", error)
                self._stopping = True  # ours; nobody waits for what does not come
        self._settle_all()
        self._connection.close()

    def _wait(self) -> bool:
        with self._condition:
            while not (self._questions or self._entries or self._stopping):
                self._condition.wait()
            return bool(self._entries) if self._stopping and not self._away else not self._stopping

    def _work(self) -> None:
        if self._questions:
            self._answer([self._questions.popleft() for _ in range(min(len(self._questions), MOST_AT_ONCE))])
        elif self._entries:
            self._keep()

    def _answer(self, questions: list[Question]) -> None:
        answers: list[bytes] = []
        try:
            body = pack(text.encode("utf-8", "surrogatepass") for q in questions for text in (q.function, q.key))
            answers = unpack(self._post(wire.CACHE_FIND_PATH, body), len(questions))
        finally:
            for position, question in enumerate(questions):
                question.settle((answers[position] if position < len(answers) else b"") or None)
        if self._away:
            raise TimeoutError("the collector answers too late to be of use")

    def _keep(self) -> None:
        parts: list[bytes] = []
        with self._condition:
            while self._entries and len(parts) < 4 * MOST_AT_ONCE and sum(map(len, parts)) < MOST_REPLY_BYTES // 4:
                function, key, value, ttl = self._entries.popleft()
                self._queued -= len(value)
                parts += (function.encode("utf-8", "surrogatepass"), key.encode(), _TTL.pack(ttl), value)
        try:
            self._post(wire.CACHE_KEEP_PATH, pack(parts))
        except (OSError, BadReply):
            self.dropped += len(parts) // 4
            raise

    def _post(self, path: str, body: bytes) -> bytes:
        return self._exchange(path, _BYTES, body, REQUEST_SECONDS, MOST_REPLY_BYTES + 2**16)

    def _leave_alone(self) -> None:
        """Let nobody wait until the collector answers again, and in time."""
        self._away = True
        self._settle_all()
        while self._rest():
            began = monotonic()
            try:
                self._post(wire.CACHE_FIND_PATH, b"")
            except (OSError, BadReply):
                continue
            if monotonic() - began <= self._patience:
                self._late = 0
                self._backoff.reset()
                self._away = False
                return

    def _rest(self) -> bool:
        """Wait before the next attempt; False when there is to be none."""
        with self._condition:
            return not self._condition.wait_for(lambda: self._stopping, self._backoff.next())

    def _settle_all(self) -> None:
        while self._questions:
            self._questions.popleft().settle(None)
        with self._condition:
            self.dropped += len(self._entries)
            self._entries.clear()
            self._queued = 0


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
