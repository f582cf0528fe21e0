"""Start, stop, fork and exit of the agent in a process: the only authority over their order.

Starting is cheap: settings, a finder, and a thread that waits. What hijacks, and what talks to the collector, is
imported when the first module that matters has been loaded, or after PATIENCE_SECONDS, whichever comes first; so
that a short-lived helper process of the application pays next to nothing.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mystic_agent import prefork, threads  # noqa: F401 -- threads, before any library makes them green
from mystic_agent.guard import guard
from mystic_agent.imports import Finder
from mystic_agent.main_module import watch
from mystic_agent.scope import Scope

if TYPE_CHECKING:
    from mystic_agent.agent import Agent
    from mystic_agent.link import Link
    from mystic_agent.settings import Settings

PATIENCE_SECONDS = 0.3
FLUSH_SECONDS = 0.8
STOP_SECONDS = 1.0
HOLD_SECONDS = 30.0
EVENTLET = "eventlet.patcher"
UVLOOP = "uvloop"


class _Process:
    """The agent of this process: what watches from the start, and the rest once it is needed."""

    def __init__(self, settings: Settings, way: str) -> None:
        self.settings = settings
        self.way = way
        self.pid = os.getpid()
        self.scope = Scope(settings.project_root, settings.ignore_patterns, settings.targets)
        self.agent: Agent | None = None
        self.link: Link | None = None
        self.undo: list[Callable[[], None]] = []
        self.lock = _thread.RLock()  # held while the parts are imported and put together
        self.over = _thread.allocate_lock()  # released when there is nothing left to wait for
        self.closed = False
        self.missed = False  # a module arrived that could not be looked at

    def open(self) -> None:
        """Watch the imports to come, the script itself, and what is loaded already."""
        wants, own = self.scope.wants_module, (EVENTLET, UVLOOP)
        self.undo.append(Finder(lambda name, path: name in own or wants(name, path), self.arrived).install())
        main = sys.modules["__main__"]
        self.undo.append(watch(lambda: self.scope.wants_loaded("__main__", main), lambda: self.arrived(main)))
        self._look()
        self.over.acquire()
        if not prefork.announced():
            guard.run("start", _thread.start_new_thread, 0, self._wait, ())

    def arrived(self, module: ModuleType) -> None:
        """Take a module that has been loaded."""
        if module.__name__ == EVENTLET:
            prefork.tell("eventlet replaces locks under the threads that wait at them; the agent ends here")
            stop()
            return
        if module.__name__ == UVLOOP and not self.scope.wants_loaded(UVLOOP, module):
            if self.agent is not None:  # its connections are watched from their beginning on, and pools begin early
                self.agent.watch_outside()
            return
        agent = self.need()
        if prefork.parent():
            self._leave_to_workers()
        if agent is None:
            self.missed = not self.closed
        else:
            guard.run("arrive", agent.arrived, 0, module)

    def _wait(self) -> None:
        if not self.over.acquire(timeout=PATIENCE_SECONDS) and not prefork.parent():
            guard.run("start", self.need, None)
            if self.missed:
                guard.run("start", self._look, None)

    def _look(self) -> None:
        for name, module in list(sys.modules.items()):
            if self.scope.wants_loaded(name, module):
                self.arrived(module)

    def need(self) -> Agent | None:
        """Return the agent, made and connected when it is not yet; None when it is over, or cannot be had now.

        It cannot while another thread makes it and needs a module that this thread is importing.
        """
        if os.getpid() != self.pid:
            guard.run("fork", self.begin_anew, None)
        if self.agent is None and not self.closed and self.lock.acquire(timeout=HOLD_SECONDS):
            try:
                if self.agent is None and not self.closed:
                    self._make()
            finally:
                self.lock.release()
        return self.agent

    def _make(self) -> None:
        from mystic_agent.agent import Agent

        agent = Agent(self.settings, self.way, self.scope)
        self.undo.extend(agent.open())
        self.agent = agent
        self.connect(agent)
        _watch_children()

    def connect(self, agent: Agent) -> None:
        """Start the link of this process."""
        if prefork.parent():
            return
        from mystic_agent.connect import connect

        self.link = guard.run("connect", connect, None, agent)

    def _leave_to_workers(self) -> None:
        """Run no thread here, because this process forks past Python; what has arrived is theirs by inheritance."""
        link, self.link = self.link, None
        if link is not None:
            guard.run("link.stop", link.stop, None, STOP_SECONDS)
        prefork.call_in_workers(self.begin_worker)

    def begin_worker(self) -> None:
        """Begin in a worker that was forked past Python, or that is the very process that loaded the application."""
        if _process is not self:
            return
        if os.getpid() != self.pid:
            guard.run("fork", self.begin_anew, None)
        elif self.agent is not None and self.link is None:
            self.connect(self.agent)

    def part(self) -> None:
        """Send what is left and end the threads, within a second in all."""
        if self.over.locked():
            self.over.release()
        link, self.link = self.link, None
        if link is not None:
            guard.run("link.flush", link.flush, False, FLUSH_SECONDS)
            guard.run("link.stop", link.stop, None, STOP_SECONDS - FLUSH_SECONDS)

    def close(self) -> None:
        """Put everything back."""
        self.closed = True
        if self.agent is not None:
            guard.run("close", self.agent.close, None)
        while self.undo:
            guard.run("close", self.undo.pop(), None)

    def step_aside(self) -> None:
        """In a child forked at a bad moment: take no lock, import nothing, and be gone from the way of imports."""
        self.closed = True
        self.link = None
        guard.run("fork", self.undo[0], None)  # the finder; functions that are hijacked already go on being counted

    def begin_anew(self) -> None:
        """In a forked child: locks of its own, figures from zero, a link of its own."""
        self.pid = os.getpid()
        self.lock, self.over = _thread.RLock(), _thread.allocate_lock()
        old, self.link = self.link, None
        if old is not None:
            old.abandon()
        if self.agent is None:
            self.over.acquire()
            _thread.start_new_thread(self._wait, ())
            return
        from mystic_agent import link

        link.renew()
        self.agent.after_fork()
        self.connect(self.agent)


_process: _Process | None = None
_forks_watched = False
_silence: Any = None


def active() -> bool:
    """True while the agent runs in this process."""
    return _process is not None


def current() -> Agent | None:
    """Return the agent of this process, or None when there is none or nothing has needed it yet."""
    return _process.agent if _process is not None else None


def start(settings: Settings, way: str) -> bool:
    """Start the agent in this process; True when it runs, also when it already did.

    Args:
        settings: read once, see :func:`mystic_agent.settings.load`.
        way: how it was asked for; shown to people.
    """
    global _process
    if _process is not None:
        return True
    if settings.enabled is False:
        return False
    _process = _Process(settings, way)
    _process.open()
    _watch_forks()
    atexit.register(_at_exit)
    return True


def stop() -> None:
    """Stop the agent and leave nothing of it on any call, import or thread; the last figures are sent first."""
    global _process
    if _process is None:
        return
    process, _process = _process, None
    atexit.unregister(_at_exit)
    process.part()
    process.close()
    if _silence is not None:
        _silence.remove()


def flush(timeout: float = FLUSH_SECONDS) -> bool:
    """Send what has been counted so far; True when every receiver took it within ``timeout`` seconds."""
    if _process is None or _process.link is None:
        return False
    return guard.run("flush", _process.link.flush, False, timeout)


def _at_exit() -> None:
    """The last of the application's exit functions, because it was registered first: one more flush, bounded.

    What runs afterwards, ``__del__`` above all, meets modules that are being taken apart: nothing of ours may
    stand on its path, nor keep alive what would die there.
    """
    global _process
    process, _process = _process, None
    if process is not None:
        process.part()
        process.close()
        process.agent = None
    if getattr(sys, "last_type", None) is KeyboardInterrupt:
        # CPython dies by SIGINT after an unhandled KeyboardInterrupt only when the last code it ran from a string
        # ended in one (Modules/main.c); our imports run such code, so leave things as they were found.
        try:
            exec("raise KeyboardInterrupt")  # noqa: S102 -- a constant
        except KeyboardInterrupt:
            pass


# -- forks -------------------------------------------------------------------------------------------


def _watch_forks() -> None:
    global _forks_watched, _silence
    if not _forks_watched:
        _forks_watched = True
        if sys.version_info >= (3, 12):
            from mystic_agent.forks import Silence

            _silence = Silence(lambda: _process.agent.threads if _process and _process.agent else ())
        os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent)
        _watch_children()


def _watch_children() -> None:
    """Come last in a forked child: what ``threading`` does there on its first turn would forget our new threads."""
    global _newest
    _newest += 1
    number = _newest
    os.register_at_fork(after_in_child=lambda: _after_in_child() if number == _newest else None)


_newest = 0


class _Hold:
    """What is held during a fork, so that the child gets whole modules and whole tables.

    A child that is forked while one of our threads imports inherits an import lock that nobody will release. So the
    fork waits until no thread of ours imports. Should that take longer than HOLD_SECONDS the child goes without us.
    """

    def __init__(self) -> None:
        self.process: _Process | None = None
        self.whole = False

    def take(self, process: _Process) -> None:
        """Wait for our threads; called before the fork."""
        self.process = process
        self.whole = process.lock.acquire(timeout=HOLD_SECONDS)
        if self.whole and process.agent is not None:
            from mystic_agent import link

            self.whole = link.hold(HOLD_SECONDS)
            if not self.whole:
                process.lock.release()
        if _silence is not None:
            _silence.adjust()

    def release(self) -> None:
        """Let our threads go on; called in the parent."""
        process, self.process = self.process, None
        if process is not None and self.whole:
            if process.agent is not None:
                from mystic_agent import link

                link.let_go()
            process.lock.release()


_hold = _Hold()


def _before_fork() -> None:
    if _process is not None:
        guard.run("fork", _hold.take, None, _process)


def _after_in_parent() -> None:
    guard.run("fork", _hold.release, None)


def _after_in_child() -> None:
    global _process
    _hold.process = None
    if _process is None:
        return
    if not _hold.whole:
        process, _process = _process, None
        process.step_aside()
        return
    guard.run("fork", _process.begin_anew, None)
    # multiprocessing ends its children with os._exit, past atexit, but runs its own finalizers before.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_process, _flush_before_exit)
    prefork.call_before_celery_ends(flush)


def _flush_before_exit(process: _Process) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(process, _at_exit, exitpriority=-1000)
