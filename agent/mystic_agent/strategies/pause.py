"""How a coroutine waits: in the event loop that drives it, and not at all in one that is not asyncio's."""

from __future__ import annotations


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
