"""A thread of ours with a connection of its own to the collector: begun by the first need, ended in time."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable

from mystic_agent.link.backoff import Backoff
from mystic_agent.link.connection import Connection
from mystic_agent.link.endpoint import Destination, Headers
from mystic_agent.link.reply import BadReply
from mystic_agent.threads import Condition, Thread


class Errand(ABC):
    """Where callers leave what the thread is to do. What that is, and the thread's work, is up to who inherits.

    Args:
        name: of the thread.
        destination: the collector.
        started: takes the identity of the thread, when it runs.
        backoff: how long to leave a collector alone that does not answer.

    Attributes:
        dropped: what could not be handed over.
    """

    def __init__(
        self, name: str, destination: Destination, started: Callable[[int], object], backoff: Callable[[], Backoff]
    ) -> None:
        self._name = name
        self._destination = destination
        self._started = started
        self._make_backoff = backoff
        self._begin()

    def _begin(self) -> None:
        """Have no thread and nothing to do, in this process."""
        self.dropped = 0
        self._connection = Connection(self._destination)
        self._backoff = self._make_backoff()
        self._condition = Condition()
        self._stopping = False
        self._thread: Thread | None = None
        self._pid = os.getpid()

    @abstractmethod
    def _run(self) -> None:
        """Work until there is to be no more; then close the connection."""

    def _need(self) -> bool:
        """Begin the thread when there is none; False when there is none to be. Called under the condition."""
        if self._thread is None and not self._stopping:
            self._thread = Thread(target=self._run, name=self._name)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is about to end
                self._stopping = True
        return not self._stopping

    def reset(self) -> None:
        """In a forked child: close this process's copy of the socket, forget the parent's thread and its queues."""
        self._connection.abort()
        self._begin()

    def stop(self, timeout: float) -> None:
        """Hand over what waits, end the thread and close the socket, within twice ``timeout`` seconds."""
        thread = self._thread
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if thread is not None and os.getpid() == self._pid:
            thread.join(timeout)
            self._connection.abort()
            thread.join(timeout)

    def _exchange(self, path: str, headers: Headers, body: bytes, seconds: float, most: int) -> bytes:
        """Return the reply to a POST, of ``most`` bytes.

        Raises:
            OSError: when nobody answers within ``seconds``.
            BadReply: when the answer is a refusal, or makes no sense.
        """
        every = (*headers, *self._destination.headers)
        head, reply = self._connection.post(path, every, body, seconds, most)
        if not 200 <= head.status < 300:
            raise BadReply(f"the collector answered {head.status} to POST {path}")
        return reply
