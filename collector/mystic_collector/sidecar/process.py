"""The sidecar as a process: uvicorn around it, bounded, ended in order."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from types import FrameType

import uvicorn

from mystic_collector.connection import connections
from mystic_collector.server import bind
from mystic_collector.servers.secrets import from_folder
from mystic_collector.sidecar.app import build_app
from mystic_collector.sidecar.servers import KubernetesServers
from mystic_collector.sidecar.settings import SidecarSettings
from mystic_collector.sidecar.token import provided

_log = logging.getLogger("mystic_collector.sidecar")
_MOST_WAITING = 200
_MOST_MESSAGE = 2**20


class SidecarServer(uvicorn.Server):
    """One sidecar over one listening socket.

    Args:
        settings: of the sidecar.
        servers: what runs servers; from the settings when None.

    Raises:
        Invalid: when the token can be neither read nor made.
        OSError: when the address cannot be bound.

    Attributes:
        address: (host, port) that is bound.
        ready: set once requests are answered.
    """

    def __init__(self, settings: SidecarSettings, servers: KubernetesServers | None = None) -> None:
        token = settings.token or (provided(settings.token_file) if settings.token_file else "")
        hide = from_folder(settings.secrets) if settings.secrets else None
        self._socket = bind(settings.host, settings.port)
        app = build_app(servers or KubernetesServers(settings, hide=hide), token, settings.host)
        config = uvicorn.Config(
            app,
            http=connections(10.0, _MOST_WAITING),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=_MOST_MESSAGE,
            ws_max_queue=16,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=16 * 1024,
        )
        super().__init__(config)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self.ready = threading.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop by a signal or by ``should_exit``."""
        super().run(sockets=[self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen and say so."""
        await super().startup(sockets=sockets)
        if self.started:
            _log.info("listening on http://%s:%d", *self.address)
            self.ready.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in order on a signal, with exit code 0; a second interrupt does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
