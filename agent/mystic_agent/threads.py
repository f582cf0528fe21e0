"""Native threads, and locks to wait at, that no library can make green.

gevent and eventlet replace what ``threading`` and ``_thread`` offer while the application runs. A native thread that
meets a green lock is never woken, and a green thread of ours would wait in the way of the application's. So what is
native is taken when the agent starts, and used from then on. The classes are those of ``threading``, as far as needed.

``threading`` itself takes the thread that imports it first for the main thread, before Python 3.13. So it is imported
here, by the thread that starts the agent, and not by one of ours as part of something that it needs: an application
whose main thread is none gets no signals from its server, and gevent refuses to patch it.
"""

from __future__ import annotations

import _thread
import sys
import threading  # noqa: F401 -- see above
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any


def _native(name: str) -> Any:
    """Return what ``_thread`` has under ``name``, or had before it was patched."""
    original = getattr(sys.modules.get("gevent.monkey"), "get_original", None)
    return original("_thread", name) if original is not None else getattr(_thread, name)


_start_new_thread = _native("start_new_thread")
_RLock = _native("RLock")
Lock = _native("allocate_lock")
get_ident: Callable[[], int] = _native("get_ident")


class Thread:
    """A thread that the interpreter does not wait for at its end.

    Args:
        target: what it runs; fails nowhere but in a guard.
        name: for people who read this.
    """

    def __init__(self, target: Callable[..., None], name: str, args: tuple[Any, ...] = ()) -> None:
        self.name = name
        self.ident: int | None = None
        self._target = target
        self._args = args
        self._over = Lock()

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: when the interpreter starts no more threads.
        """
        self._over.acquire()
        try:
            self.ident = _start_new_thread(self._run, ())
        except BaseException:
            self._over.release()
            raise

    def _run(self) -> None:
        try:
            self._target(*self._args)
        finally:
            self._over.release()

    def is_alive(self) -> bool:
        """True from :meth:`start` to the end of its target."""
        return bool(self._over.locked())

    def join(self, timeout: float) -> None:
        """Wait for its end, at most ``timeout`` seconds."""
        if self._over.acquire(timeout=max(0.0, timeout)):
            self._over.release()


class Condition:
    """A lock that its holder can take again, and that its holder can wait at until another notifies."""

    __slots__ = ("_lock", "_waiters")  # eventlet, which replaces such locks wherever it finds them, looks not in here

    def __init__(self) -> None:
        self._lock = _RLock()
        self._waiters: deque[Any] = deque()

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(self, *raised: object) -> None:
        self._lock.__exit__(*raised)

    def wait(self, timeout: float | None = None) -> bool:
        """Let the lock go until notified, or for ``timeout`` seconds; False when they have gone by."""
        waiter = Lock()
        waiter.acquire()
        self._waiters.append(waiter)
        held = self._lock._release_save()  # as often as it is held; threading.Condition does the same
        try:
            return bool(waiter.acquire(True, -1 if timeout is None else max(0.0, timeout)))
        finally:
            self._lock._acquire_restore(held)
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Wait until ``predicate`` is true, or for ``timeout`` seconds; return what it was last."""
        deadline = None if timeout is None else monotonic() + timeout
        while not (held := predicate()) and (deadline is None or monotonic() < deadline):
            self.wait(None if deadline is None else deadline - monotonic())
        return held

    def notify(self) -> None:
        """Wake the one that waits longest."""
        if self._waiters:
            self._waiters.popleft().release()

    def notify_all(self) -> None:
        """Wake all that wait."""
        while self._waiters:
            self.notify()


class Event:
    """Something that happens once."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._set = False

    def is_set(self) -> bool:
        """True when it has happened."""
        return self._set

    def set(self) -> None:
        """It has happened: wake all that wait for it."""
        with self._condition:
            self._set = True
            self._condition.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait for it at most ``timeout`` seconds; True when it has happened."""
        with self._condition:
            return self._set or (self._condition.wait(timeout) and self._set)
