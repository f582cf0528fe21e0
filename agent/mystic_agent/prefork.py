"""Servers whose workers begin or end in a way of their own: uWSGI, Celery.

uWSGI forks its workers in C, past Python: nothing registered with ``os.register_at_fork`` runs there. A worker that is
forked while a thread of ours runs waits for the interpreter's lock for ever. So the process whose forks the workers are
gets no thread of ours, and each worker is begun by the server's own hook.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from mystic_agent.guard import guard

_told = False
_SCRIPTS = ("uwsgi", "pyuwsgi")


def announced() -> bool:
    """True in a process that is uWSGI's by the name of its program, also before its module is there to be asked.

    That comes late: with the interpreter's lock, which a thread of ours would wait for, and get just before the fork.
    """
    return bool(guard.run("prefork", _by_name, False))


def _by_name() -> bool:
    scripts = {_last(word) for word in sys.orig_argv[:3]}  # the script's name, or the module's after -m
    programs = [sys.executable or ""]
    try:
        programs.append(os.readlink("/proc/self/exe"))  # of an interpreter that lives inside another program
    except OSError:
        pass
    return not scripts.isdisjoint(_SCRIPTS) or any(_last(program).startswith("uwsgi") for program in programs)


def _last(path: str) -> str:
    return path.rpartition("/")[2].lower()


def parent() -> bool:
    """True in a process that uWSGI forks its workers from, or that it has yet to make its only worker."""
    return bool(guard.run("prefork", _worker_id, None) == 0)


def call_in_workers(begin: Callable[[], None]) -> None:
    """Have ``begin`` called in each worker, beside what the application wants to be called there; once."""
    guard.run("prefork", _chain, None, begin)


def call_before_celery_ends(flush: Callable[[], object]) -> None:
    """Have ``flush`` called when this process of Celery's ends: it does by ``os._exit``, past every exit function."""
    signals: Any = sys.modules.get("celery.signals")
    if signals is not None:
        guard.run("prefork", _connect, None, signals.worker_process_shutdown, flush)


def _connect(signal: Any, flush: Callable[[], object]) -> None:
    signal.connect(lambda **_: flush(), weak=False, dispatch_uid="mystic")


def _worker_id() -> int | None:
    worker_id = getattr(sys.modules.get("uwsgi"), "worker_id", None)
    return worker_id() if worker_id is not None else None


def _chain(begin: Callable[[], None]) -> None:
    server: Any = sys.modules["uwsgi"]
    if not getattr(server, "has_threads", 1):
        tell("uWSGI runs no threads, so the collector is told late; give it --enable-threads")
    hook = getattr(server, "post_fork_hook", None)
    if getattr(hook, "mystic", False):
        return

    def post_fork_hook() -> None:
        guard.run("prefork", begin, None)  # first, so that what the application's own hook calls is counted
        if hook is not None:
            hook()

    post_fork_hook.mystic = True  # type: ignore[attr-defined]
    server.post_fork_hook = post_fork_hook


def tell(line: str) -> None:
    """Say one line to the person who runs the application; only the first of a process."""
    global _told
    if not _told and sys.stderr is not None:
        _told = True
        guard.run("tell", sys.stderr.write, None, f"mystic: {line}\n")
