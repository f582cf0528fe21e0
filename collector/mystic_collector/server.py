"""uvicorn, told what this collector needs: quiet, bounded, and able to stop while streams are open."""

from __future__ import annotations

import logging
import resource
import signal
import socket
import sys
import threading
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from mystic_collector.app import build_app
from mystic_collector.connection import connections
from mystic_collector.parts import Parts
from mystic_collector.settings import Settings

_log = logging.getLogger("mystic_collector")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ENOUGH_FILES = 16_384
"""For the most streams and waiting connections there may be, and what else is open."""


class CollectorServer(uvicorn.Server):
    """One collector over one listening socket.

    Args:
        settings: of the collector; the socket is bound at once, so that a taken port is an error here.
        alone: nothing else lives in this process.

    Raises:
        OSError: when the address cannot be bound.
        StoreError: when the data directory cannot be used.

    Attributes:
        address: (host, port) that is bound.
        ready: set once requests are answered.
    """

    def __init__(self, settings: Settings, alone: bool = False) -> None:
        self._socket = bind(settings.host, settings.port)
        try:
            self.app: Starlette = build_app(settings, alone)
        except BaseException:
            self._socket.close()
            raise
        config = uvicorn.Config(
            self.app,
            http=connections(settings.head_timeout, min(settings.max_waiting, _most_sockets() // 2)),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            ws_max_queue=16,
            timeout_graceful_shutdown=3,
            timeout_keep_alive=75,
            h11_max_incomplete_event_size=16 * 1024,
            backlog=512,
        )
        super().__init__(config)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self.ready = threading.Event()

    @property
    def parts(self) -> Parts:
        """What this collector is made of."""
        parts = self.app.state.parts
        assert isinstance(parts, Parts)  # noqa: S101 - tells the type checker
        return parts

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop by a signal or by ``should_exit``."""
        # The writing thread asks for the interpreter after every statement; at Python's own 5 ms it starves.
        sys.setswitchinterval(0.0005)
        super().run(sockets=[self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen and say so."""
        await super().startup(sockets=sockets)
        if self.started:
            host, port = self.address
            _log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
            self.ready.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order on a signal, with exit code 0; a second interrupt does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: they would otherwise be waited for."""
        self.parts.streams.close()
        self.app.state.chat.close()
        await self.parts.managed.leave()
        await super().shutdown(sockets=sockets)


def _most_sockets() -> int:
    """Return how many files this process may have open, after asking for as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, _ENOUGH_FILES)
    if soft < min(wanted, _ENOUGH_FILES):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, _ENOUGH_FILES), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


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
