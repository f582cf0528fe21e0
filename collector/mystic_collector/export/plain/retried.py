"""Calls made again when they fail, within a budget."""

import asyncio
import functools
import inspect
import random
import threading
import time

from .named import _is


def retried(attempts, *, base, longest, budget, reserve, exceptions, exclude=()):
    """Call again what fails, at most ``attempts`` times in all.

    Args:
        base, longest: seconds to wait before the first retry at most, doubled each time, and at most at all; by lot.
        budget: retries as a share of calls, over all calls; ``reserve`` more may be saved up.
        exceptions, exclude: names of what is retried, and of what is not although it is one of those.
    """

    def decorate(function):
        lock, left = threading.Lock(), [float(reserve)]

        def pause(error, attempt):
            """Return the seconds to wait, or None when it is to fail."""
            if _is(error, exclude) or not _is(error, exceptions) or attempt >= attempts:
                return None
            with lock:
                if left[0] < 1:
                    return None
                left[0] -= 1
            return random.random() * min(longest, base * 2.0 ** (attempt - 1))

        def earn():
            with lock:
                left[0] = min(float(reserve), left[0] + budget)

        @functools.wraps(function)
        def call(*args, **kwargs):
            earn()
            attempt = 1
            while True:
                try:
                    return function(*args, **kwargs)
                except Exception as error:
                    wait = pause(error, attempt)
                    if wait is None:
                        raise
                time.sleep(wait)
                attempt += 1

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            earn()
            attempt = 1
            while True:
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    wait = pause(error, attempt)
                    if wait is None:
                        raise
                await asyncio.sleep(wait)
                attempt += 1

        return call_async if inspect.iscoroutinefunction(function) else call

    return decorate
