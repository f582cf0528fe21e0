"""Calls of a function that go to another implementation. No decorator: the others' part."""

import contextlib
import contextvars
import functools
import importlib
import inspect


def _elsewhere(function, to, chosen):
    """Return ``function`` with calls going to ``to`` (``module:qualname``) where ``chosen`` says so of their arguments.

    What that calls of ``function`` is the original. It is given what this one is called with, defaults included.
    """
    signature = inspect.signature(function)
    inside = contextvars.ContextVar("inside", default=())  # a list, empty again when the call is over

    @functools.cache
    def other():
        module, _, path = to.partition(":")
        *above, last = path.split(".")
        holder = functools.reduce(getattr, above, importlib.import_module(module))
        found = inspect.getattr_static(holder, last)
        return getattr(found, "__func__", found)  # of a class or static method: this one is below that decorator too

    def bound(args, kwargs):
        """Return the arguments of a call that goes elsewhere, or None."""
        if inside.get():
            return None
        try:
            found = signature.bind(*args, **kwargs)
        except TypeError:  # which the function says itself
            return None
        found.apply_defaults()
        return found if chosen(found.arguments) else None

    @contextlib.contextmanager
    def crossing():
        under_way = [True]
        token = inside.set(under_way)
        try:
            yield
        finally:
            under_way.clear()  # also for tasks that were started meanwhile and go on
            with contextlib.suppress(ValueError):  # a coroutine closed from elsewhere
                inside.reset(token)

    @functools.wraps(function)
    def call(*args, **kwargs):
        given = bound(args, kwargs)
        if given is None:
            return function(*args, **kwargs)
        with crossing():
            return other()(*given.args, **given.kwargs)

    @functools.wraps(function)
    async def call_async(*args, **kwargs):
        given = bound(args, kwargs)
        if given is None:
            return await function(*args, **kwargs)
        with crossing():
            return await other()(*given.args, **given.kwargs)

    return call_async if inspect.iscoroutinefunction(function) else call
