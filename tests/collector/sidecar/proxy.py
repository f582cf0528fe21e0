"""A TCP proxy that can be down, lose answers or hold them back: so a server is away for one client alone."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Passes connections on to ``target`` while it is up.

    Attributes:
        address: where it listens; connections are refused while it is down.
        answers: cleared to hold back what the target answers; what it is asked goes through.
        lose: answers that are to be lost, each with its connection.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._door: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.address = ("127.0.0.1", 0)
        self.answers = threading.Event()
        self.answers.set()
        self.lose = 0
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
            threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _is_lost(self) -> bool:
        with self._guard:
            lost = self.lose > 0
            self.lose -= lost
            return lost

    def _pass(self, one: socket.socket, other: socket.socket, answers: bool) -> None:
        with self._guard:
            self._open.add(one)
        try:
            while data := one.recv(65536):
                if answers:
                    self.answers.wait()
                    if self._is_lost():
                        break
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
        found.answers.set()
        found.down()
