"""Requests as spans: those that do something, and those that are part of a trace already."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mystic_collector.tracing.step import at_work
from mystic_collector.tracing.tracing import Tracing

_NEVER = ("/v1/", "/agent/", "/health")
"""Telemetry coming in, the agents' own traffic, and health."""

_LOOKING = frozenset(("GET", "HEAD", "OPTIONS"))


class Traced:
    """ASGI middleware: one span a request, continuing the trace that ``traceparent`` names.

    Whoever only looks is not traced unless asked for by a ``traceparent``: pages and commands look every second, and
    looking at traces would make traces. Where none begin (:attr:`Tracing.begins`) that is so for everything.

    Args:
        app: what lies behind.
        tracing: None when the collector's own work is not to be traced.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing | None) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tracing = self._tracing
        if tracing is None or scope["type"] != "http" or not _meant(scope, tracing.begins):
            await self._app(scope, receive, send)
            return
        if not tracing.ready:
            await asyncio.to_thread(tracing.tracer)
        await self._trace(tracing, scope, receive, send)

    async def _trace(self, tracing: Tracing, scope: Scope, receive: Receive, send: Send) -> None:
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        method, path = scope["method"], scope["path"]
        caused = TraceContextTextMapPropagator().extract(dict(Headers(scope=scope)))
        attributes = {"http.request.method": method, "url.path": path[:200]}
        tracer = tracing.tracer()
        with tracer.start_as_current_span(method, caused, SpanKind.SERVER, attributes) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            before = at_work.set(tracer)
            try:
                await self._app(scope, receive, noted)
            finally:
                at_work.reset(before)
                route = getattr(scope.get("route"), "path", "")
                span.update_name(f"{method} {route}".strip())
                if route:
                    span.set_attribute("http.route", route)


def _meant(scope: Scope, begins: bool) -> bool:
    if scope["path"].startswith(_NEVER):
        return False
    return (begins and scope["method"] not in _LOOKING) or any(name == b"traceparent" for name, _ in scope["headers"])
