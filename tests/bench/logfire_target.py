"""What logfire's auto-tracing rewrites when it is imported: the measured functions, once more."""


def function(a, b):
    return a + b


async def coroutine(a, b):
    return a + b


def generator(a, b):
    yield a
    yield b
