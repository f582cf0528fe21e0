"""Keeps forks apart from the moments in which our threads hold locks that are not ours.

A child that is forked while one of our threads is importing a module inherits that module half made and its
import lock held for ever: the application's own ``import json`` would then never return. So whatever on our
threads may import runs under this gate, and the lifecycle calls :func:`hold` before a fork, :func:`let_go` after it in
the parent and :func:`renew` after it in the child.
"""

from __future__ import annotations

from mystic_agent.threads import Lock, get_ident

HOLD_SECONDS = 1.0
_lock = Lock()
_holder = 0


def gate() -> Lock:
    """Return the lock to be held, with ``with``, around anything on our threads that may import."""
    return _lock


def load(*modules: str) -> None:
    """Import ``modules``, so that later ``import`` statements only look them up."""
    with _lock:
        for module in modules:
            __import__(module)


def hold(timeout: float = HOLD_SECONDS) -> bool:
    """Wait until no thread of ours may be importing, and keep it so; False when ``timeout`` seconds did not do."""
    global _holder
    if not _lock.acquire(timeout=timeout):
        return False
    _holder = get_ident()
    return True


def let_go() -> None:
    """End this thread's :func:`hold`; nothing when it had failed."""
    global _holder
    if _holder == get_ident():
        _holder = 0
        _lock.release()


def renew() -> None:
    """Start over in a child, where the thread that held the gate may not exist."""
    global _lock, _holder
    _lock, _holder = Lock(), 0
