"""Sockets that this process has connected: who asked, how much went and came, how long the answer took.

A request begins with the first bytes sent after bytes were received; who sends them is who asks. On a blocking socket
the time inside its methods is what was waited; on one of an event loop, the time from the last bytes sent to the first
received: the loop receives outside of the task that asked.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable, Container
from time import perf_counter_ns
from types import FrameType
from typing import Any

from mystic_agent.external.caller import ours
from mystic_agent.external.ledger import ERRORS, RECEIVED, SENT, WAITED
from mystic_agent.external.stand_in import StandIns
from mystic_agent.external.talk import Talk, Talking, size
from mystic_agent.guard import guard

_SENDING = ("send", "sendall", "sendmsg")
_RECEIVING = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg")
MOST_TALKS = 10_000
MOST_NAMES = 512
_LATER = (BlockingIOError, InterruptedError)


def _whole(name: str) -> Any:
    """Return a module that is loaded; None while another thread imports it, since its classes may be others then."""
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module


class Sockets:
    """The connections of one process, by file descriptor.

    Args:
        talking: begins connections and requests.
        threads: identities of the agent's own threads.

    Attributes:
        names: numeric address → the name it was looked up by.
    """

    def __init__(self, talking: Talking, threads: Container[int]) -> None:
        self._talking = talking
        self._threads = threads
        self._talks: dict[int, Talk] = {}
        self.names: dict[str, str] = {}
        self._standing = StandIns()
        self._watched: set[int] = set()

    def install(self) -> None:
        """Stand in for the methods of socket classes that are loaded and not watched yet; cheap when there are none."""
        module = _whole("socket")
        plain = getattr(module, "socket", None)
        if plain is not None and id(plain) not in self._watched:
            self._watched.add(id(plain))
            for name in ("connect", "connect_ex"):
                self._standing.put(plain, name, self._connecting)
            self._both_ways(plain, _SENDING, _RECEIVING)
            for name in ("accept", "_real_close"):
                if hasattr(plain, name):
                    self._standing.put(plain, name, self._accepting if name == "accept" else self._closing)
            self._standing.put(module, "getaddrinfo", self._looking_up)
        secure = getattr(_whole("ssl"), "SSLSocket", None)
        if secure is not None and id(secure) not in self._watched:
            self._watched.add(id(secure))
            self._both_ways(secure, ("send", "write"), ("read",))
            self._standing.put(secure, "do_handshake", self._receiving)

    def remove(self) -> None:
        """Put everything back."""
        self._standing.remove()
        self._watched.clear()
        self._talks.clear()

    def reset(self) -> None:
        """Forget what was under way, as a forked child does; connections it inherits are asked anew."""
        for talk in self._talks.values():
            talk.asking = talk.sending = talk.receiving = False
            talk.sent_at = 0

    def followed(self, descriptor: int) -> bool:
        """True of a connection whose calls are seen one by one."""
        return descriptor in self._talks

    def talk(self, descriptor: int) -> Talk | None:
        """Return the connection of a descriptor."""
        return self._talks.get(descriptor)

    def _both_ways(self, holder: Any, sending: tuple[str, ...], receiving: tuple[str, ...]) -> None:
        for name in sending:
            self._standing.put(holder, name, self._sending)
        for name in receiving:
            self._standing.put(holder, name, self._receiving)

    # -- beginning and end of a connection -----------------------------------------------------------

    def _connecting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: Any, address: Any, /, *more: Any) -> Any:
            talk = guard.run("external", open_, None, self, address, sys._getframe(1))
            began = perf_counter_ns()
            try:
                result = original(self, address, *more)
            except BaseException as error:
                if talk is not None:
                    talk.opening = perf_counter_ns() - began
                    if not isinstance(error, _LATER):
                        guard.run("external", fail, None, talk)
                raise
            if talk is not None:
                talk.opening = perf_counter_ns() - began
            return result

        fail = self._talking.fail
        open_ = self._open
        return connect

    def _open(self, own: Any, address: Any, frame: FrameType) -> Talk | None:
        self.install()  # whoever speaks TLS connects first
        handle = own.fileno()
        self._talks.pop(handle, None)
        if get_ident() in self._threads or ours(frame) or handle < 0 or len(self._talks) >= MOST_TALKS:
            return None
        talk = self._talks[handle] = self._talking.open(address, frame, self.names)
        return talk

    def _accepting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        talks = self._talks

        def accept(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            accepted = original(self, *args, **kwargs)
            talks.pop(accepted[0].fileno(), None)  # a client of ours, though its number may have been a server's
            return accepted

        return accept

    def _closing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        talks = self._talks

        def _real_close(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            talks.pop(self.fileno(), None)
            return original(self, *args, **kwargs)

        return _real_close

    def _looking_up(self, original: Callable[..., Any]) -> Callable[..., Any]:
        names = self.names

        def remember(host: Any, found: list[Any]) -> None:
            if type(host) is str and len(host) <= 253:
                for _, _, _, _, address in found:
                    if address[0] != host and (len(names) < MOST_NAMES or address[0] in names):
                        names[address[0]] = host

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            found = original(host, *args, **kwargs)
            guard.run("external", remember, None, host, found)
            return found

        return getaddrinfo

    # -- what goes and comes -------------------------------------------------------------------------

    def _sending(self, original: Callable[..., Any]) -> Callable[..., Any]:
        talks, ask = self._talks, self._talking.ask

        def send(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            talk = talks.get(self.fileno())
            if talk is None or talk.sending:
                return original(self, *args, **kwargs)
            talk.sending = True
            began = perf_counter_ns()
            try:
                if not talk.asking:
                    guard.run("external", ask, None, talk, args[0] if args else b"", sys._getframe(1))
                result = original(self, *args, **kwargs)
            except BaseException as error:
                _failed(talk, began, error)
                raise
            finally:
                talk.sending = False
            cells = talk.cells
            if cells is not None:
                talk.sent_at = perf_counter_ns()
                cells[SENT] += result if type(result) is int else size(args[0] if args else b"")
                cells[WAITED] += talk.sent_at - began
            return result

        return send

    def _receiving(self, original: Callable[..., Any]) -> Callable[..., Any]:
        talks, begin = self._talks, self._talking.begin

        def recv(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            talk = talks.get(self.fileno())
            if talk is None or talk.receiving:
                return original(self, *args, **kwargs)
            if talk.cells is None:  # the other side speaks first
                guard.run("external", begin, None, talk, talk.opener, b"")
            talk.receiving = True
            began = perf_counter_ns()
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                _failed(talk, began, error)
                raise
            finally:
                talk.receiving = False
            guard.run("external", _received, None, self, talk, began, result)
            return result

        return recv


def _received(own: Any, talk: Talk, began: int, result: Any) -> None:
    cells, now = talk.cells, perf_counter_ns()
    if cells is None:
        return
    if talk.sent_at and own.gettimeout() == 0.0:
        began = talk.sent_at
    talk.sent_at = 0
    talk.asking = False
    cells[WAITED] += now - began
    if type(result) is tuple:
        result = result[0]
    if result is not None:
        cells[RECEIVED] += result if type(result) is int else len(result)


def _failed(talk: Talk, began: int, error: BaseException) -> None:
    cells = talk.cells
    if cells is not None and not isinstance(error, _LATER) and type(error).__name__ not in _WANTS:
        cells[ERRORS] += 1
        cells[WAITED] += perf_counter_ns() - began


_WANTS = ("SSLWantReadError", "SSLWantWriteError")  # the TLS way of saying: later
