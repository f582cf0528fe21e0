"""How a call waits: a coroutine in the event loop that drives it, if that is asyncio's; any other in its thread."""

from __future__ import annotations

import time


def sleep(seconds: float) -> None:
    """Block the thread, or the greenlet: looked up at every call, because gevent replaces it."""
    time.sleep(seconds)


def possible() -> bool:
    """True when asyncio drives the caller."""
    import asyncio  # where it is needed: it is loaded already in a program that awaits

    return asyncio._get_running_loop() is not None


async def pause(seconds: float) -> bool:
    """Wait for ``seconds``; False, at once, when another library than asyncio drives this coroutine."""
    if not possible():
        return False
    import asyncio

    await asyncio.sleep(seconds)
    return True
