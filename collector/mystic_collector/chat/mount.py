"""``/mcp`` of a collector: streamable HTTP, made when somebody first asks for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mystic_collector.reply import refusal
from mystic_collector.security import CHAT_PATH
from mystic_collector.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

MOST_SESSIONS = 1_000
IDLE_SECONDS = 1800.0
MOST_BODY = 4 * 2**20


class Mount:
    """The chat of one collector, as an ASGI application.

    The SDK costs most of a second and 34 MB to import, so that is done with the first request.

    Args:
        settings: of the collector.
        inside: the collector's own application, which the tools ask.
    """

    def __init__(self, settings: Settings, inside: ASGIApp) -> None:
        self._settings = settings
        self._inside = inside
        self._served: Starlette | None = None
        self._begun: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ending = asyncio.Event()
        self._open: set[anyio.CancelScope] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the first one brings the server up."""
        served = await self._up("http://{}:{}".format(*scope["server"]))
        begun = ended = False

        async def watched(message: Message) -> None:
            nonlocal begun, ended
            begun = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as cancel:
            self._open.add(cancel)
            try:
                await served(scope, receive, watched)
            finally:
                self._open.discard(cancel)
        if cancel.cancelled_caught and begun and not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif cancel.cancelled_caught and not begun:
            await refusal(503, "the collector ends", "ask again when it runs")(scope, receive, send)

    def close(self) -> None:
        """End requests that are open, such as streams to clients; they would otherwise be waited for."""
        self._ending.set()
        for cancel in list(self._open):
            cancel.cancel()

    async def stop(self) -> None:
        """End the sessions."""
        self.close()
        if self._begun is not None:
            await self._begun

    async def _up(self, address: str) -> Starlette:
        if self._begun is None:
            self._begun = asyncio.create_task(self._serve(address), name="mystic-chat")
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait((waiting, self._begun), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._served is None:
            await self._begun  # raises why there is none
            raise RuntimeError("the chat has ended")
        return self._served

    async def _serve(self, address: str) -> None:
        """Hold the sessions open until told to end: they live and die in one task."""
        app = await asyncio.to_thread(self._build, address)
        async with app.router.lifespan_context(app):
            self._served = app
            self._ready.set()
            await self._ending.wait()

    def _build(self, address: str) -> Starlette:
        from mcp.server.transport_security import TransportSecuritySettings

        from mystic_collector.chat.collector import Collector
        from mystic_collector.chat.server import build_server
        from mystic_collector.chat.session import Chat

        settings = self._settings
        collector = Collector(address, settings.api_key, self._inside)
        chat = Chat(collector, settings.chat_read_only)
        if settings.oauth_issuer:
            from mystic_collector.chat.tokens import Tokens, auth_settings

            server = build_server(chat, auth_settings(settings), Tokens(settings))
        else:
            server = build_server(chat)
        return server.streamable_http_app(
            streamable_http_path=CHAT_PATH,
            max_request_body_size=MOST_BODY,
            session_idle_timeout=IDLE_SECONDS,
            max_sessions=MOST_SESSIONS,
            # Host and Origin are the gate's, which knows what this collector may be called.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
