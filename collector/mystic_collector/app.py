"""The composition root: which parts there are, what stands before them, what starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO

from mystic_agent.contract.errors import Invalid
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from mystic_collector.api.changes import conflict
from mystic_collector.api.servers import failed
from mystic_collector.api.stale import known
from mystic_collector.cache.embedded import EmbeddedEntries
from mystic_collector.cache.entries import Entries
from mystic_collector.cache.server import ServerEntries
from mystic_collector.chat.mount import Mount as ChatMount
from mystic_collector.discovery.catalog import Catalog
from mystic_collector.forward.forward import Forward
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.fleet import Fleet
from mystic_collector.hijacks.membership import Membership
from mystic_collector.hijacks.policy import Policy
from mystic_collector.hijacks.registry import Registry
from mystic_collector.hijacks.stream import Streams
from mystic_collector.ingest.endpoint import Ingest
from mystic_collector.ingest.intake import Intake
from mystic_collector.ingest.writer import FEW, Writer
from mystic_collector.otlp.spans import read_spans
from mystic_collector.parts import Parts
from mystic_collector.recordings.recordings import Recordings
from mystic_collector.reply import crashed, http_error, invalid, unavailable
from mystic_collector.routes import routes
from mystic_collector.security import Gate
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.managed import Managed
from mystic_collector.settings import Settings
from mystic_collector.store.protocol import Store, StoreError
from mystic_collector.store.sqlite import SqliteStore
from mystic_collector.tracing.middleware import Traced
from mystic_collector.tracing.tracing import Tracing


def build_app(settings: Settings, alone: bool = False) -> Starlette:
    """Return the collector as an ASGI application.

    Args:
        alone: nothing else lives in this process, so what libraries trace is this collector's own work.

    Raises:
        StoreError: when the data directory cannot be used, or another collector uses it.
    """
    parts, release = build_parts(settings)
    ingest = Ingest(settings, parts.writer, parts.forward)
    chat = ChatMount(settings, lambda scope, receive, send: app(scope, receive, send))
    tracing = Tracing(_keeper(parts), alone) if settings.own_traces else None
    app = Starlette(
        routes=routes(parts, ingest, chat),
        middleware=[Middleware(Gate, settings=settings), Middleware(Traced, tracing=tracing), Middleware(Intake)],
        exception_handlers={
            Invalid: invalid,
            Conflict: conflict,
            HTTPException: http_error,
            StoreError: unavailable,
            ServersError: failed,
            Exception: crashed,
        },
        lifespan=_lifespan(parts, chat, tracing, release),
    )
    app.state.parts = parts
    app.state.chat = chat
    return app


def build_parts(settings: Settings) -> tuple[Parts, Callable[[], None]]:
    """Return the parts, not yet started, and what releases their files."""
    lock = _own(settings.data_dir)
    store = _store(settings)
    fleet = Fleet()
    membership = Membership(settings.fleet, settings.data_dir, fleet) if settings.fleet else None
    registry = Registry(
        membership.journal if membership else settings.data_dir / "hijacks.db",
        policy=Policy(settings.default_expiry, settings.allowed_strategies),
        held_off="MYSTIC_OFF" if settings.off else "",
    )
    entries = _entries(settings, membership)
    forward = Forward(settings.data_dir / "forward", settings.forward, settings.forward_bytes)
    recorded = Recordings(settings.data_dir / "recordings.db", settings.recordings_bytes)
    writer = Writer(store, settings.max_queue_bytes, every=FEW if settings.store else 0.0)
    parts = Parts(
        settings=settings,
        store=store,
        writer=writer,
        forward=forward,
        registry=registry,
        fleet=fleet,
        streams=Streams(registry, fleet),
        catalog=Catalog(settings.project_root),
        cache=entries,
        recordings=recorded,
        managed=Managed(settings, keep=writer.offer),
        membership=membership,
    )

    def release() -> None:
        store.close()
        forward.close()
        registry.close()
        entries.close()
        if membership is not None:
            membership.close()
        recorded.close()
        lock.close()

    return parts, release


def _store(settings: Settings) -> Store:
    if settings.store is None:
        return SqliteStore(
            settings.data_dir / "telemetry.db",
            max_age=settings.retention_seconds,
            max_bytes=settings.retention_bytes,
            max_functions=settings.max_functions,
        )
    from mystic_collector.store.clickhouse.store import ClickHouseStore  # its library is an extra

    return ClickHouseStore(
        settings.store,
        max_age=settings.retention_seconds,
        max_bytes=settings.retention_bytes,
        max_functions=settings.max_functions,
    )


def _entries(settings: Settings, membership: Membership | None) -> Entries:
    if membership is not None:
        return ServerEntries(membership.server, settings.cache_bytes)
    return EmbeddedEntries(settings.data_dir / "cache", settings.cache_bytes)


def _keeper(parts: Parts) -> Callable[[ExportTraceServiceRequest], None]:
    def keep(message: ExportTraceServiceRequest) -> None:
        """Do with our own spans what ingest does with anybody's."""
        taken, _, _ = read_spans(message)
        if parts.writer.offer(taken):
            parts.forward.offer("traces", message.SerializeToString(), sum(one.items for one in taken))

    return keep


def _own(folder: Path) -> IO[bytes]:
    """Lock the data directory for this process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be used: {error}; choose another MYSTIC_DATA_DIR") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        message = f"another collector uses {str(folder)!r}; stop it or choose another MYSTIC_DATA_DIR"
        raise StoreError(message) from error
    return lock


def _lifespan(
    parts: Parts, chat: ChatMount, tracing: Tracing | None, release: Callable[[], None]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with contextlib.ExitStack() as undo:
            undo.callback(release)
            parts.writer.start()
            parts.forward.start()
            undo.callback(parts.streams.open())
            if parts.membership is not None:
                local = isinstance(parts.store, SqliteStore)
                parts.membership.start(parts.registry, (lambda: known(parts)) if local else None)
            parts.managed.wake()
            try:
                yield
            finally:
                if parts.membership is not None:
                    await asyncio.to_thread(parts.membership.stop)
                await chat.stop()
                await parts.managed.close()
                if tracing is not None:
                    await asyncio.to_thread(tracing.stop)
                await asyncio.to_thread(parts.writer.stop)
                await asyncio.to_thread(parts.forward.stop)

    return lifespan
