"""The measured functions once more, in a module that can be named.

What logfire's auto-tracing rewrites when it is imported, what strategies take for another implementation, and the
custom strategy that does nothing.
"""


def function(a, b):
    return a + b


async def coroutine(a, b):
    return a + b


def generator(a, b):
    yield a
    yield b


class Through:
    """A custom strategy that lets every call pass."""

    def __init__(self, function, options):
        pass

    def call(self, call):
        return call.proceed()

    async def call_async(self, call):
        return await call.proceed()
