"""Calls that end after a time."""

import asyncio
import functools
import inspect


def timed(after, *, parameter=""):
    """End a coroutine after ``after`` seconds, or lower the function's own time limit, ``parameter``, to that."""

    def decorate(function):
        signature = inspect.signature(function)

        def lowered(args, kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return args, kwargs
            bound.apply_defaults()
            given = bound.arguments[parameter]
            if given is None or (type(given) in (int, float) and given > after):
                bound.arguments[parameter] = after
            return bound.args, bound.kwargs

        @functools.wraps(function)
        def call(*args, **kwargs):
            args, kwargs = lowered(args, kwargs)
            return function(*args, **kwargs)

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            if parameter:
                args, kwargs = lowered(args, kwargs)
                return await function(*args, **kwargs)
            async with asyncio.timeout(after):
                return await function(*args, **kwargs)

        return call_async if inspect.iscoroutinefunction(function) else call

    return decorate
