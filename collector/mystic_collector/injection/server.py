"""The webhook as a process, its certificate made at start, renewed in time, and made known again when it is not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import orjson
from mystic_agent.contract.errors import Invalid
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mystic_collector.injection.certificate import Certificate, certificate
from mystic_collector.injection.registration import Registration
from mystic_collector.injection.review import answer
from mystic_collector.injection.settings import InjectorSettings
from mystic_collector.listener import Listener, bind

EVERY = 20.0
"""Seconds between two looks at what the API server trusts."""
EARLY = timedelta(days=30)
MOST_BODY = 4 * 2**20
_log = logging.getLogger(__name__)


class Injector:
    """The webhook of one cluster.

    Args:
        settings: of the injector.
        registration: where the certificate is made known.
        every: seconds between two looks at it.
        clock: the time, by which the certificate is renewed.

    Attributes:
        trusted: True once the API server knows the certificate; ``/health`` says 503 before.
    """

    def __init__(
        self,
        settings: InjectorSettings,
        registration: Registration,
        every: float = EVERY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.trusted = False
        self._registration = registration
        self._every = every
        self._clock = clock
        self._certificate: Certificate = certificate(settings.dns_names, clock())
        self._next: Certificate | None = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._certificate.load(self._context)
        self.app = Starlette(
            routes=[Route("/inject", self.inject, methods=["POST"]), Route("/health", self.health)],
            lifespan=self._lifespan,
        )

    def server(self) -> Listener:
        """Return what serves it, over TLS.

        Raises:
            OSError: when the address cannot be bound.
        """
        bound = bind(self.settings.host, self.settings.port)
        return Listener(self.app, bound, ssl_context_factory=lambda config, default: self._context, ws="none")

    async def inject(self, request: Request) -> Response:
        """Answer one AdmissionReview."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY:
                raise HTTPException(413, f"an AdmissionReview of more than {MOST_BODY} bytes")
        try:
            found = answer(orjson.loads(body), self.settings.collector)
        except (Invalid, ValueError) as error:
            raise HTTPException(400, str(error)[:300]) from error
        _log.info("put the agent into a pod" if "patch" in found["response"] else "left a pod as it is")
        return JSONResponse(found)

    async def health(self, request: Request) -> Response:
        """Say whether the API server can call us."""
        return JSONResponse({"status": "ok" if self.trusted else "waiting"}, 200 if self.trusted else 503)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        watch = asyncio.create_task(self._watch(), name="mystic-trust")
        try:
            yield
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    async def _watch(self) -> None:
        while True:
            self.trusted = await asyncio.to_thread(self._registration.trust, self._known())
            await asyncio.sleep(self._every if self.trusted else min(self._every, 1.0))

    def _known(self) -> bytes:
        """Return what is to be trusted: around a renewal both certificates, so that there is no moment without."""
        if self._next is not None and self.trusted:  # the API server has known it since the last look
            self._certificate, self._next = self._next, None
            self._certificate.load(self._context)
        elif self._next is None and self._clock() > self._certificate.until - EARLY:
            self._next = certificate(self.settings.dns_names, self._clock())
        return self._certificate.pem + (self._next.pem if self._next is not None else b"")
