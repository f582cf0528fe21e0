"""Connections that ask for nothing: bounded in time and number, so that slow clients never keep others out.

uvicorn waits for ever for the head of a request, and for a client to take what it was sent.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """One connection of a server.

    While no request of it is being answered it is *waiting*: for a first request, for a next one, or for the rest
    of a head. Waiting ends after :attr:`patience` seconds once a byte is expected, and earlier for the longest
    waiting when there are more than :attr:`most_waiting`.

    Attributes:
        patience: seconds for the head of a request to arrive, and for what is left when a connection is closed.
        most_waiting: connections that may wait at a time.
        waiting: those that do, longest first; of one server, which makes a subclass of its own.
    """

    patience: float
    most_waiting: int
    waiting: dict[Connection, None]

    _deadline: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a first request."""
        super().connection_made(transport)
        self._wait()
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Take what came; a first byte must be followed by a whole request in time."""
        super().data_received(data)
        if self._upgraded:
            return  # another protocol has it
        if self._busy:
            self._leave()
        else:
            self._expect()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection to the WebSocket protocol, which has its own patience."""
        self._upgraded = True
        self._leave()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request; uvicorn's own timer runs until its first byte."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect()
        elif not self._busy:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._leave()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close, and do not wait for ever for the client to take the last answer."""
        super().timeout_keep_alive_handler()
        self._deadline = self.loop.call_later(self.patience, self.transport.abort)

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self.waiting[self] = None
        if len(self.waiting) > self.most_waiting:
            longest = next(iter(self.waiting))
            longest._leave()
            longest.transport.abort()

    def _expect(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.transport.abort)

    def _leave(self) -> None:
        self.waiting.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def connections(patience: float, most_waiting: int) -> type[Connection]:
    """Return the class of one server's connections, which share their waiting room."""
    body: dict[str, Any] = {"patience": patience, "most_waiting": most_waiting, "waiting": {}}
    return type("Connection", (Connection,), body)
