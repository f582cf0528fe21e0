"""A TCP proxy that can be down: so an API server is away for one sidecar alone."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Passes connections on to ``target`` while it is up.

    Attributes:
        address: where it listens; connections are refused while it is down.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._door: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.address = ("127.0.0.1", 0)
        self.up()

    def up(self) -> None:
        self._door = socket.create_server(self.address)
        self.address = self._door.getsockname()
        self._thread = threading.Thread(target=self._accept, args=(self._door,), name="proxy", daemon=True)
        self._thread.start()

    def down(self) -> None:
        """Refuse new connections and break those there are."""
        door, self._door = self._door, None
        if door is not None:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()
        if self._thread is not None:
            self._thread.join(10)
        with self._guard:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self, door: socket.socket) -> None:
        while self._door is door:
            try:
                near, _ = door.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with self._guard:
            self._open.add(one)
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            for ended in (one, other):
                with contextlib.suppress(OSError):
                    ended.shutdown(socket.SHUT_RDWR)
            with self._guard:
                self._open.discard(one)
            one.close()


@contextlib.contextmanager
def between(target: tuple[str, int]) -> Iterator[Proxy]:
    found = Proxy(target)
    try:
        yield found
    finally:
        found.down()
