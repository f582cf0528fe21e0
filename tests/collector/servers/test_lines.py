"""Lines that threads read reach one reader in the event loop, in order and bounded, and end with the last thread."""

from __future__ import annotations

import asyncio
import threading

from mystic_collector.servers.lines import Lines
from mystic_collector.servers.server import LogLine

PATIENCE = 20.0


def line(number: int) -> LogLine:
    return LogLine(float(number), "stdout", str(number))


async def read(told: Lines) -> list[float]:
    async with asyncio.timeout(PATIENCE):
        return [one.time async for one in told]


def test_a_slow_reader_loses_the_oldest_lines_and_still_learns_of_every_end() -> None:
    async def scenario() -> list[float]:
        told = Lines(2)
        told.end()
        for number in range(2500):
            told.tell(line(number))
        told.end()
        await asyncio.sleep(0)  # all of it arrives before the reader looks
        return await read(told)

    assert asyncio.run(scenario()) == [float(number) for number in range(1500, 2500)]


def test_the_lines_of_a_thread_come_in_its_order_and_the_reader_waits_for_the_last_thread() -> None:
    async def scenario() -> list[float]:
        told, go = Lines(2), threading.Event()

        def first() -> None:
            for number in range(5):
                told.tell(line(number))
            told.end()
            go.set()

        def second() -> None:
            go.wait(PATIENCE)
            for number in range(5, 10):
                told.tell(line(number))
            told.end()

        threads = [threading.Thread(target=one) for one in (first, second)]
        for thread in threads:
            thread.start()
        try:
            return await read(told)
        finally:
            for thread in threads:
                await asyncio.to_thread(thread.join, PATIENCE)

    assert asyncio.run(scenario()) == [float(number) for number in range(10)]


def test_a_thread_that_tells_after_the_loop_has_closed_is_not_disturbed() -> None:
    async def made() -> Lines:
        return Lines(1)

    told = asyncio.run(made())
    assert (told.tell(line(1)), told.end()) == (None, None)
