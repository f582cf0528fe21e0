"""Calls that are not made for a while when too many have failed."""

import contextlib
import functools
import inspect
import threading
import time

from .named import _is, _made


class _Breaker:
    """Closed: calls pass and are counted; open: none does; half open: one at a time does, to probe.

    Every change begins a new epoch, and a call counts only in the epoch that let it in.
    """

    def __init__(self, ratio, count, minimum, window, open_for, probes, clock=time.monotonic):
        self.millionths, self.count, self.minimum, self.probes = round(ratio * 1e6), count, minimum, probes
        self.slot, self.open_for, self.clock = window / 10, open_for, clock
        self.lock = threading.Lock()
        self.epoch, self.until = 0, 0.0
        self.turn("closed")

    def turn(self, state):
        self.state, self.epoch = state, self.epoch + 1
        self.probing, self.succeeded = False, 0
        self.slots = {}  # number of a tenth of the window → [calls, failures]
        if state == "open":
            self.until = self.clock() + self.open_for

    def ask(self):
        """Return the epoch that lets a call in, or None."""
        with self.lock:
            if self.state == "closed":
                return self.epoch
            now = self.clock()
            if now >= self.until and (self.state == "open" or self.probing):
                self.turn("half open")
            if self.state == "open" or self.probing:
                return None
            self.probing, self.until = True, now + self.open_for
            return self.epoch

    def tell(self, epoch, failed):
        """Take the outcome of a call; None for one that says nothing."""
        with self.lock:
            if epoch != self.epoch:
                return
            if self.state == "closed":
                if failed is not None:
                    self.add(failed)
                return
            self.probing = False
            if failed:
                self.turn("open")
            elif failed is not None:
                self.succeeded += 1
                if self.succeeded >= self.probes:
                    self.turn("closed")

    def add(self, failed):
        now = int(self.clock() // self.slot)
        if now not in self.slots:
            self.slots = {number: held for number, held in self.slots.items() if number > now - 10}
        held = self.slots.setdefault(now, [0, 0])
        held[0] += 1
        held[1] += failed
        calls, failures = (sum(column) for column in zip(*self.slots.values(), strict=True))
        too_large = calls >= self.minimum and failures * 1_000_000 >= self.millionths * calls
        if failures and (too_large or 0 < self.count <= failures):
            self.turn("open")


def circuit_broken(
    failure_ratio,
    *,
    minimum,
    window,
    open_for,
    exceptions,
    failure_count=0,
    probes=1,
    exclude=(),
    exception="RuntimeError",
    message="",
):
    """Do not call for ``open_for`` seconds what has failed in ``failure_ratio`` of the calls of ``window`` seconds.

    Args:
        minimum: calls in the window below which the ratio says nothing.
        failure_count: failures in the window that are too many whatever their share; 0: none are.
        probes: calls that must then succeed, one at a time.
        exceptions, exclude: names of what is a failure, and of what is none although it is one of those.
        exception, message: what calls raise meanwhile.
    """

    def decorate(function):
        breaker = _Breaker(failure_ratio, failure_count, minimum, window, open_for, probes)
        name = f"{function.__module__}:{function.__qualname__}"
        text = message or f"{name} has failed too often and is not called for {open_for:g} s at a time"

        @contextlib.contextmanager
        def counted():
            epoch = breaker.ask()
            if epoch is None:
                raise _made(exception, text)
            try:
                yield
            except BaseException as error:
                counts = isinstance(error, Exception) and _is(error, exceptions) and not _is(error, exclude)
                breaker.tell(epoch, True if counts else None)
                raise
            breaker.tell(epoch, False)

        @functools.wraps(function)
        def call(*args, **kwargs):
            with counted():
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            with counted():
                return await function(*args, **kwargs)

        return call_async if inspect.iscoroutinefunction(function) else call

    return decorate
