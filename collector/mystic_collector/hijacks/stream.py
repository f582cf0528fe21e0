"""The set of hijacks pushed to agents as server-sent events, and the timer that ends leases; on the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable

import orjson
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.wire import HIJACKS_EVENT
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mystic_collector.hijacks.fleet import Fleet
from mystic_collector.hijacks.registry import Registry
from mystic_collector.reply import refusal
from mystic_collector.store.protocol import StoreError

_log = logging.getLogger("mystic_collector.hijacks")
KEEP_ALIVE = 10.0
"""Seconds of silence after which a comment is sent."""

MOST_STREAMS = 5_000
_LONGEST_SLEEP = 3600.0
RETRY = 5.0
"""Seconds until leases that could not be ended are tried again; agents end theirs by themselves."""


class Streams:
    """All open streams over one registry.

    Args:
        registry: whose set is sent.
        fleet: told about open and closed streams.
        keep_alive: seconds between comments.
        clock: Unix seconds, for leases.
    """

    def __init__(
        self, registry: Registry, fleet: Fleet, keep_alive: float = KEEP_ALIVE, clock: Callable[[], float] = time.time
    ) -> None:
        self._registry = registry
        self._fleet = fleet
        self._keep_alive = keep_alive
        self._clock = clock
        self._wakers: set[asyncio.Event] = set()
        self._lease_waker = asyncio.Event()
        self._closed = False

    def open(self) -> Callable[[], None]:
        """Begin to pass changes on; call it on the event loop, and the undo it returns as well."""
        loop = asyncio.get_running_loop()

        def changed() -> None:
            loop.call_soon_threadsafe(self._wake)

        undo = self._registry.listen(changed)
        leases = loop.create_task(self._end_leases())

        def close() -> None:
            undo()
            leases.cancel()
            self.close()

        return close

    def close(self) -> None:
        """End every stream, so that a server that is shutting down need not wait for them."""
        self._closed = True
        self._wake()

    @property
    def closed(self) -> bool:
        """True once the collector is on its way down."""
        return self._closed

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._wakers)

    def _wake(self) -> None:
        self._lease_waker.set()
        for waker in self._wakers:
            waker.set()

    async def endpoint(self, request: Request) -> Response:
        """``GET /agent/v1/hijacks?service=&instance=&stage=``."""
        texts = {name: request.query_params.get(name, "") for name in ("service", "instance", "stage")}
        for name, text in texts.items():
            if len(text) > 200 or not (text.isprintable() and (text or name == "stage")):
                raise Invalid(name, text, "give printable text of 1 to 200 characters as a query parameter")
        if len(self._wakers) >= MOST_STREAMS:
            return refusal(503, "too many open streams", "try again later", {"Retry-After": "5"})
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._events(**texts), media_type="text/event-stream", headers=headers)

    async def _events(self, service: str, instance: str, stage: str) -> AsyncIterator[bytes]:
        waker = asyncio.Event()
        self._wakers.add(waker)
        closed = self._fleet.connect(instance, service, stage)
        sent = None
        try:
            while not self._closed:
                snapshot = self._registry.snapshot()
                waker.clear()
                if snapshot is not sent:
                    sent = snapshot
                    yield _event(sent.version, orjson.dumps(snapshot.for_service(service, self._clock())))
                try:
                    async with asyncio.timeout(self._keep_alive):
                        await waker.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._wakers.discard(waker)
            closed()

    async def _end_leases(self) -> None:
        waker, least = self._lease_waker, 0.05
        while True:
            expiry = self._registry.next_expiry()
            wait = _LONGEST_SLEEP if expiry is None else min(max(expiry - self._clock(), least), _LONGEST_SLEEP)
            try:
                async with asyncio.timeout(wait):
                    await waker.wait()
            except TimeoutError:
                pass
            waker.clear()
            try:
                gone = await run_in_threadpool(self._registry.expire)
            except StoreError as error:
                if least < RETRY:
                    _log.error("leases could not be ended: %s", error)
                least = RETRY
                continue
            least = 0.05
            for one in gone:
                _log.info("the lease of hijack %s on %s has ended", one.id, one.target)


def _event(version: int, data: bytes) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (HIJACKS_EVENT.encode(), version, data)
