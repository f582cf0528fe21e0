"""All bodies that are being taken in at a time, bounded together: many large ones must not fill the memory."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mystic_collector.otlp.refused import RefusedError

MOST_BYTES = 64 * 2**20


class Intake:
    """ASGI middleware that counts the bytes of unfinished requests.

    Args:
        app: what lies behind; receiving raises ``RefusedError`` (429) there when too much is held already.
        most_bytes: of all bodies together.

    Attributes:
        held: bytes at this moment.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app = app
        self._most = most_bytes
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT"):
            await self._app(scope, receive, send)
            return
        mine = 0

        async def counted() -> Message:
            nonlocal mine
            message = await receive()
            size = len(message.get("body", b""))
            if size and self.held + size > self._most:
                raise RefusedError(429, "the collector is taking in as much as it can hold; send again later")
            mine += size
            self.held += size
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self.held -= mine
