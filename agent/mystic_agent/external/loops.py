"""Connections that an event loop written in C has opened: uvloop's, whose sockets Python never sees.

The methods of ``uvloop.Loop`` that open a connection are stood in for, and what they give is seen from both ends: the
application's protocol is told through one of ours, and writes to a transport of ours (see ``between``). Servers'
connections are not touched. Who asks is read from the stack up to the task that runs; frames beyond run the loop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from mystic_agent.external.caller import ours
from mystic_agent.external.stand_in import StandIns
from mystic_agent.external.talk import Talk, Talking
from mystic_agent.guard import guard

if TYPE_CHECKING:
    from mystic_agent.external.between import Link


class Loops:
    """The connections of one process that uvloop opens.

    Args:
        talking: begins connections and requests.
        known: returns the connection of a descriptor that was connected by a Python socket.
    """

    def __init__(self, talking: Talking, known: Callable[[int], Talk | None]) -> None:
        self._talking = talking
        self._known = known
        self._standing = StandIns()
        self._watched: type | None = None

    def install(self) -> None:
        """Stand in for the methods of ``uvloop.Loop`` once it is loaded."""
        kind = getattr(sys.modules.get("uvloop"), "Loop", None)
        if isinstance(kind, type) and kind is not self._watched:
            self._watched = kind
            self._standing.put(kind, "create_connection", self._connecting)
            self._standing.put(kind, "create_unix_connection", self._connecting_to_path)
            self._standing.put(kind, "start_tls", self._securing)

    def remove(self) -> None:
        """Put everything back; connections that are open go on as they are."""
        self._standing.remove()
        self._watched = None

    def _connecting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        opened = self._opened

        async def create_connection(self: Any, factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
            link = guard.run("external", opened, None, (host, port), more.get("sock"), sys._getframe())
            if link is None:
                return await original(self, factory, host, port, **more)
            return await link.follow(original(self, link.factory(factory), host, port, **more))

        return create_connection

    def _connecting_to_path(self, original: Callable[..., Any]) -> Callable[..., Any]:
        opened = self._opened

        async def create_unix_connection(self: Any, factory: Any, path: Any = None, **more: Any) -> Any:
            link = guard.run("external", opened, None, path, more.get("sock"), sys._getframe())
            if link is None:
                return await original(self, factory, path, **more)
            return await link.follow(original(self, link.factory(factory), path, **more))

        return create_unix_connection

    def _securing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def start_tls(self: Any, transport: Any, protocol: Any, *args: Any, **more: Any) -> Any:
            from mystic_agent.external.between import Carrier

            if isinstance(transport, Carrier):
                return await transport.secure(original, self, protocol, *args, **more)
            return await original(self, transport, protocol, *args, **more)

        return start_tls

    def _opened(self, address: Any, sock: Any, frame: FrameType) -> Link | None:
        """Return what stands between the two ends of a connection that is being opened."""
        from mystic_agent.external.between import Link, inside_task

        if ours(frame):
            return None
        known = self._known(sock.fileno()) if sock is not None else None
        start, last = inside_task(frame)
        talk = known or self._talking.open(_plain(address), start, {}, last)
        return Link(talk, self._talking, opened=known is not None)


def _plain(address: Any) -> Any:
    """Return an address with its port as a number."""
    if type(address) is tuple and type(address[1]) is str and address[1].isdecimal():
        return address[0], int(address[1])
    return address
