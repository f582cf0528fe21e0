"""The sidecar as a process."""

from __future__ import annotations

from mystic_collector.listener import Listener, bind
from mystic_collector.servers.secrets import from_folder
from mystic_collector.sidecar.app import build_app
from mystic_collector.sidecar.servers import KubernetesServers
from mystic_collector.sidecar.settings import SidecarSettings
from mystic_collector.sidecar.token import provided
from mystic_collector.tracing.posted import posted
from mystic_collector.tracing.tracing import Tracing

_MOST_MESSAGE = 2**20


class SidecarServer(Listener):
    """One sidecar over one listening socket.

    Args:
        settings: of the sidecar.
        servers: what runs servers; from the settings when None.

    Raises:
        Invalid: when the token can be neither read nor made.
        OSError: when the address cannot be bound.
    """

    def __init__(self, settings: SidecarSettings, servers: KubernetesServers | None = None) -> None:
        token = settings.token or (provided(settings.token_file) if settings.token_file else "")
        hide = from_folder(settings.secrets) if settings.secrets else None
        known = {"Authorization": f"Bearer {token}"}
        # The collector asks in traces that it keeps: none begins here, so without a collector there are none.
        keep = posted(f"http://127.0.0.1:{settings.collector_port}", lambda: known)
        tracing = Tracing(keep, begins=False) if settings.own_traces else None
        app = build_app(servers or KubernetesServers(settings, hide=hide), token, settings.host, tracing)
        bound = bind(settings.host, settings.port)
        super().__init__(app, bound, ws="websockets-sansio", ws_max_size=_MOST_MESSAGE, ws_max_queue=16)
