"""Threads that keep a collector abreast of its fleet: one hears of changes and takes them in, one tells of its own.

Law: what is heard is only a reason to look. A look is also taken every second, so no message that was missed matters.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from mystic_collector.rendezvous import Rendezvous
from mystic_collector.store.protocol import StoreError

_log = logging.getLogger("mystic_collector.hijacks")

LOOK = 1.0
"""Seconds between two looks when nothing is heard."""

LONGEST_PAUSE = 5.0
"""Seconds between two attempts while the server is away."""

_SHORTEST_PAUSE = 0.1

SETTLE = 0.05
"""Seconds in which what happens at one moment is gathered before it is told."""


class Follower:
    """The two threads of one collector.

    Args:
        server: what is listened to.
        channel: on it.
        look: takes in what others have changed, and told; raises StoreError when the server is away.
        tell: tells the others what has changed here; the same.
    """

    def __init__(
        self, server: Rendezvous, channel: str, look: Callable[[], object], tell: Callable[[], object]
    ) -> None:
        self._server, self._channel = server, channel
        self._look, self._tell = look, tell
        self._stop, self._news = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._listen, name="mystic-fleet-listen", daemon=True),
            threading.Thread(target=self._speak, name="mystic-fleet-tell", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """End; it takes as long as a look at most."""
        self._stop.set()
        self._news.set()
        for one in self._threads:
            one.join()

    def hint(self) -> None:
        """Something has changed here that others want to know; returns at once."""
        self._news.set()

    def _listen(self) -> None:
        pause, away = _SHORTEST_PAUSE, False
        while not self._stop.is_set():
            try:
                with contextlib.closing(self._server.subscribed(self._channel)) as heard:
                    while not self._stop.is_set():
                        self._look()
                        if away:
                            _log.warning("the fleet's server answers again")
                        pause, away = _SHORTEST_PAUSE, False
                        self._hear(heard)
            except StoreError as error:
                if not away:
                    _log.warning("%s", error)
                away = True
                self._stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _hear(self, heard: Any) -> None:
        """Wait until something is said, and for all that has been said by then."""
        said = self._server.ask(lambda _: heard.get_message(timeout=LOOK))
        while said is not None:
            said = self._server.ask(lambda _: heard.get_message(timeout=0.0))

    def _speak(self) -> None:
        while not self._stop.is_set():
            self._news.clear()
            try:
                self._tell()
            except StoreError:
                self._stop.wait(LOOK)  # the listening thread says it
                continue
            if self._news.wait(LOOK):
                self._stop.wait(SETTLE)
