"""What stands between a connection of uvloop and the application: a protocol and a transport that pass everything on.

Loaded only where uvloop is, and asyncio with it. Bytes that come are counted on the way to the application's protocol,
bytes that go on the way to the loop's transport; every other method is the transport's own.
"""

from __future__ import annotations

from asyncio import current_task
from asyncio.protocols import BufferedProtocol, Protocol
from asyncio.transports import Transport
from collections.abc import Callable, Coroutine
from time import perf_counter_ns
from types import FrameType
from typing import Any

from mystic_agent.external.ledger import RECEIVED, SENT, WAITED
from mystic_agent.external.talk import Talk, Talking, size
from mystic_agent.guard import guard

_PASSED_ON = """
    abort can_write_eof close get_extra_info get_write_buffer_limits get_write_buffer_size is_closing is_reading
    pause_reading resume_reading set_write_buffer_limits write_eof
"""
_SAME = tuple(_PASSED_ON.split())


def inside_task(frame: FrameType) -> tuple[FrameType | None, FrameType | None]:
    """Return the frames between which somebody asked: from ``frame`` out to the coroutine of the task that runs.

    Outside of tasks nobody on the stack did.
    """
    task = current_task()
    last = getattr(task.get_coro(), "cr_frame", None) if task is not None else None
    return (frame, last) if last is not None else (None, None)


class Link:
    """One connection, as both of its ends tell of it.

    Args:
        talk: the connection.
        talking: begins its requests.
        opened: it was opened before, by a Python socket.
    """

    def __init__(self, talk: Talk, talking: Talking, opened: bool) -> None:
        self._talk, self._talking, self._opened = talk, talking, opened

    def factory(self, factory: Callable[[], Any]) -> Callable[[], Any]:
        """Return what makes the application's protocol, behind one of ours."""
        return lambda: self.before(factory())

    def before(self, protocol: Any) -> Any:
        """Return a protocol of ours that tells the application's."""
        return (_BufferedEnd if isinstance(protocol, BufferedProtocol) else _End)(protocol, self)

    async def follow(self, call: Coroutine[Any, Any, tuple[Any, Any]]) -> tuple[Any, Any]:
        """Return transport and protocol as the application is to see them, once the loop has opened the connection."""
        talk, began = self._talk, perf_counter_ns()
        try:
            transport, end = await call
        except Exception:
            talk.opening = perf_counter_ns() - began
            guard.run("external", self._talking.fail, None, talk)
            raise
        elapsed = 0 if self._opened else perf_counter_ns() - began
        if talk.cells is not None:  # the protocol has written or received at once
            talk.cells[WAITED] += elapsed
        elif not self._opened:
            talk.opening = elapsed
        return end.outer or Carrier(transport, self), end.inner

    def sent(self, first: Any, count: int, frame: FrameType) -> None:
        """Bytes are about to be sent."""
        talk = self._talk
        if not talk.asking:
            self._talking.ask(talk, first, *inside_task(frame))
        if talk.cells is not None:
            talk.cells[SENT] += count
            talk.sent_at = perf_counter_ns()

    def received(self, count: int) -> None:
        """Bytes have come."""
        talk = self._talk
        if talk.cells is None:  # the other side speaks first
            self._talking.begin(talk, talk.opener, b"")
        if talk.cells is not None:
            talk.cells[RECEIVED] += count
            if talk.sent_at:
                talk.cells[WAITED] += perf_counter_ns() - talk.sent_at
        talk.sent_at, talk.asking = 0, False


class _Telling:
    """Tells the application's protocol everything."""

    def __init__(self, inner: Any, link: Link) -> None:
        self.inner, self.link = inner, link
        self.outer: Carrier | None = None

    def connection_made(self, transport: Any) -> None:
        self.outer = Carrier(transport, self.link)
        self.inner.connection_made(self.outer)

    def connection_lost(self, error: Exception | None) -> None:
        self.inner.connection_lost(error)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _End(_Telling, Protocol):
    def data_received(self, data: bytes) -> None:
        guard.run("external", self.link.received, None, len(data))
        self.inner.data_received(data)


class _BufferedEnd(_Telling, BufferedProtocol):
    def get_buffer(self, sizehint: int) -> Any:
        return self.inner.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        guard.run("external", self.link.received, None, nbytes)
        self.inner.buffer_updated(nbytes)


class Carrier(Transport):
    """The transport that the application sees.

    Args:
        real: the loop's.
        link: what is told of bytes that go.
    """

    def __init__(self, real: Any, link: Link) -> None:
        self.real, self.link = real, link
        for name in _SAME:
            setattr(self, name, getattr(real, name))

    def write(self, data: Any) -> None:
        """Send bytes."""
        from sys import _getframe

        guard.run("external", self.link.sent, None, data, size(data), _getframe(1))
        self.real.write(data)

    def writelines(self, list_of_data: Any) -> None:
        """Send many."""
        from sys import _getframe

        parts = list(list_of_data)
        guard.run("external", self.link.sent, None, parts[0] if parts else b"", sum(map(size, parts)), _getframe(1))
        self.real.writelines(parts)

    def set_protocol(self, protocol: Any) -> None:
        """Let another protocol be told."""
        end = self.link.before(protocol)
        end.outer = self
        self.real.set_protocol(end)

    def get_protocol(self) -> Any:
        """Return the application's protocol."""
        found = self.real.get_protocol()
        return found.inner if isinstance(found, _Telling) else found

    async def secure(self, original: Callable[..., Any], loop: Any, protocol: Any, *args: Any, **more: Any) -> Any:
        """Begin TLS on this connection; return the transport to be used from now on."""
        end = self.link.before(protocol)
        end.outer = Carrier(await original(loop, self.real, end, *args, **more), self.link)
        return end.outer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)
