"""Keeps forks apart from the moments in which our threads hold locks that are not ours.

A child that is forked while one of our threads is importing a module inherits that module half made and its
import lock held for ever: the application's own ``import json`` would then never return. So whatever on our
threads may import runs under this gate, and a fork waits for it, at most HOLD_SECONDS.
"""

from __future__ import annotations

import os
from threading import Lock, get_ident

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


def _before_fork() -> None:
    global _holder
    if _lock.acquire(timeout=HOLD_SECONDS):
        _holder = get_ident()


def _after_fork_in_parent() -> None:
    global _holder
    if _holder == get_ident():
        _holder = 0
        _lock.release()


def _after_fork_in_child() -> None:
    # Not a release: when the wait was in vain, the holder is a thread that does not exist here.
    global _lock, _holder
    _lock, _holder = Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
