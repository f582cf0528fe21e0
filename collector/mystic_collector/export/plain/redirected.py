"""Calls that go to another implementation."""

import contextvars
import functools
import importlib
import inspect


def redirected(to):
    """Call ``to`` (``module:qualname``) instead, except where that calls the original itself."""

    def decorate(function):
        inside = contextvars.ContextVar("inside", default=False)

        @functools.cache
        def other():
            module, _, qualname = to.partition(":")
            return functools.reduce(getattr, qualname.split("."), importlib.import_module(module))

        @functools.wraps(function)
        def call(*args, **kwargs):
            if inside.get():
                return function(*args, **kwargs)
            token = inside.set(True)
            try:
                return other()(*args, **kwargs)
            finally:
                inside.reset(token)

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            if inside.get():
                return await function(*args, **kwargs)
            token = inside.set(True)
            try:
                return await other()(*args, **kwargs)
            finally:
                inside.reset(token)

        return call_async if inspect.iscoroutinefunction(function) else call

    return decorate
