"""uvicorn, told what each of our servers needs: quiet, bounded, and ended in order."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from mystic_collector.connection import connections

_log = logging.getLogger("mystic_collector")
_PATIENCE = 10.0
_MOST_WAITING = 200


class Listener(uvicorn.Server):
    """One application behind one listening socket.

    Args:
        app: what answers.
        bound: the socket, as :func:`bind` returns it; closed when the server ends.
        patience: seconds for the head of a request to arrive.
        most_waiting: connections that may ask for nothing at a time.
        options: of ``uvicorn.Config``, beside what all our servers have in common.

    Attributes:
        address: (host, port) that is bound.
        ready: set once requests are answered.
    """

    def __init__(
        self,
        app: ASGIApp,
        bound: socket.socket,
        patience: float = _PATIENCE,
        most_waiting: int = _MOST_WAITING,
        **options: Any,
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",  # the one that is tested, also where uvloop is installed beside us
            http=connections(patience, most_waiting),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=16 * 1024,
            **options,
        )
        super().__init__(config)
        self._bound = bound
        self.address: tuple[str, int] = bound.getsockname()[:2]
        self.ready = threading.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop by a signal or by ``should_exit``."""
        await super().serve(sockets=[self._bound])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen and say so."""
        await super().startup(sockets=sockets)
        if self.started:
            host, port = self.address
            scheme = "https" if self.config.is_ssl else "http"
            _log.info("listening on %s://%s:%d", scheme, f"[{host}]" if ":" in host else host, port)
            self.ready.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order on a signal, with exit code 0; a second interrupt does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        OSError: naming the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol named, asyncio does not see TCP and leaves Nagle's algorithm on: 40 ms on small replies.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port} ({error.strerror or error})") from error
    return found


def start_logging(level: str) -> None:
    """Send the collector's and uvicorn's logs to stderr, never to stdout."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn", "httpx"):  # the latter has a line for every request that is sent on
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
