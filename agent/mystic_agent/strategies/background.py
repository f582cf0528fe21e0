"""Work that must not hold up a call: one daemon thread of the process, and a bounded queue in front of it.

What does not fit is refused, so that nothing grows. The thread begins with the first piece of work and ends when there
has been none for IDLE_SECONDS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread, get_ident

from mystic_agent.guard import guard

MOST = 100
IDLE_SECONDS = 1.0


class Background:
    """The thread and its queue.

    Args:
        most: pieces of work that may wait.

    Attributes:
        alive: how many threads there are, 0 or 1.
        threads: identities of the agent's threads; ours is among them while it lives.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.threads: set[int] = set()
        self.reset()

    def reset(self) -> None:
        """Start over, as a forked child must: the thread is the parent's."""
        self.alive = 0
        self._waiting: deque[Callable[[], object]] = deque()
        self._condition = Condition()

    @property
    def full(self) -> bool:
        """True when no more work can wait."""
        return len(self._waiting) >= self.most

    def put(self, work: Callable[[], object]) -> bool:
        """Have ``work`` done soon; False when too much waits, or there can be no more threads."""
        with self._condition:
            if self.full:
                return False
            if not self.alive:
                try:
                    Thread(target=self._run, args=(self._condition,), name="mystic-background", daemon=True).start()
                except RuntimeError:  # the interpreter is about to end
                    return False
                self.alive = 1
            self._waiting.append(work)
            self._condition.notify()
            return True

    def _run(self, condition: Condition) -> None:
        self.threads.add(get_ident())
        try:
            while (work := self._next(condition)) is not None:
                guard.run("background", work, None)
                del work  # it holds arguments of the application
        finally:
            self.threads.discard(get_ident())
            if condition is self._condition:
                self.alive = 0

    def _next(self, condition: Condition) -> Callable[[], object] | None:
        with condition:
            if not self._waiting and not condition.wait_for(lambda: self._waiting, IDLE_SECONDS):
                self.alive = 0  # under the lock: the next piece of work begins another thread
                return None
            return self._waiting.popleft()


background = Background()
"""The one of this process."""
