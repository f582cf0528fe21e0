"""Calls let through at a rate."""

import functools
import inspect
import math
import threading
import time

from .named import _made


def limited(rate, *, per, burst=0, exception="RuntimeError", message=""):
    """Let ``rate`` calls through in ``per`` seconds, ``burst`` of them at once (0: ``rate``); others raise."""

    def decorate(function):
        each = per / rate
        room = ((burst or math.ceil(rate)) - 1) * each
        lock, full_at = threading.Lock(), [time.monotonic()]
        text = message or f"{function.__module__}:{function.__qualname__} is limited to {rate:g} calls in {per:g} s"

        def take():
            with lock:
                now = time.monotonic()
                full = max(full_at[0], now)
                if full - room <= now:
                    full_at[0] = full + each
                    return
            raise _made(exception, text)

        @functools.wraps(function)
        def call(*args, **kwargs):
            take()
            return function(*args, **kwargs)

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            take()
            return await function(*args, **kwargs)

        return call_async if inspect.iscoroutinefunction(function) else call

    return decorate
