"""How a WebSocket to a server's other side is opened: by way of the sidecar, and by the sidecar itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

MOST_BYTES = 16 * 2**20
"""Of one message."""


async def opened(url: str, headers: Mapping[str, str], patience: float, **more: Any) -> ClientConnection:
    """Return a connection that notices within a minute and a half when the other side is gone.

    Proxies of the environment are for the outside; these ways are beside us, or the cluster's own.

    Args:
        patience: seconds until it has to be open.
        more: options of ``websockets.connect``.

    Raises:
        InvalidStatus: when it is refused, with the answer.
        OSError, TimeoutError, InvalidHandshake: when there is none.
    """
    return await connect(
        url,
        additional_headers=headers,
        open_timeout=patience,
        close_timeout=2,
        ping_interval=30,
        ping_timeout=60,
        max_size=MOST_BYTES,
        proxy=None,
        compression=None,
        **more,
    )
