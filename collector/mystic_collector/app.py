"""The composition root: which parts there are, which routes lead to them, what starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.wire import (
    CACHE_FIND_PATH,
    CACHE_KEEP_PATH,
    HEALTH_PATH,
    LOGS_PATH,
    METRICS_PATH,
    RECORDINGS_KEEP_PATH,
    RECORDINGS_LOAD_PATH,
    REPORT_PATH,
    STREAM_PATH,
    TRACES_PATH,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from mystic_collector import openapi
from mystic_collector.api import (
    cache,
    cacheability,
    discovery,
    external,
    functions,
    hijacks,
    impact,
    logs,
    metrics,
    overhead,
    patch,
    recordings,
    servers,
    shared,
    state,
    status,
    traces,
)
from mystic_collector.api.changes import audit, conflict, diff, history, off, on, renew, undo
from mystic_collector.api.stale import listed as stale
from mystic_collector.cache.embedded import EmbeddedEntries
from mystic_collector.chat.mount import Mount as ChatMount
from mystic_collector.discovery.catalog import Catalog
from mystic_collector.hijacks.conflict import Conflict
from mystic_collector.hijacks.fleet import Fleet
from mystic_collector.hijacks.policy import Policy
from mystic_collector.hijacks.registry import Registry
from mystic_collector.hijacks.stream import Streams
from mystic_collector.ingest.endpoint import Ingest
from mystic_collector.ingest.intake import Intake
from mystic_collector.ingest.writer import Writer
from mystic_collector.parts import Parts
from mystic_collector.recordings.recordings import Recordings
from mystic_collector.reply import crashed, http_error, invalid, unavailable
from mystic_collector.security import CHAT_METADATA_PATH, CHAT_PATH, Gate
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.managed import Managed
from mystic_collector.settings import Settings
from mystic_collector.store.protocol import StoreError
from mystic_collector.store.sqlite import SqliteStore


def build_app(settings: Settings) -> Starlette:
    """Return the collector as an ASGI application.

    Raises:
        StoreError: when the data directory cannot be used, or another collector uses it.
    """
    parts, release = build_parts(settings)
    ingest = Ingest(settings, parts.writer)
    chat = ChatMount(settings, lambda scope, receive, send: app(scope, receive, send))
    app = Starlette(
        routes=[
            Route(HEALTH_PATH, status.health),
            Route(TRACES_PATH, ingest.traces, methods=["POST"]),
            Route(METRICS_PATH, ingest.metrics, methods=["POST"]),
            Route(LOGS_PATH, ingest.logs, methods=["POST"]),
            Route(STREAM_PATH, parts.streams.endpoint),
            Route(REPORT_PATH, hijacks.report, methods=["POST"]),
            Route("/api/status", status.status),
            Route("/api/init", status.init, methods=["POST"]),
            Route("/api/functions", functions.functions),
            Route("/api/functions/hijack", functions.hijack, methods=["POST"]),
            Route("/api/functions/unhijack", functions.unhijack, methods=["POST"]),
            Route("/api/functions/inspect", functions.inspect_function, methods=["POST"]),
            Route("/api/discovered", discovery.discovered),
            Route("/api/resolve", discovery.resolve),
            Route("/api/metrics", metrics.metrics),
            Route("/api/metrics/{function:path}", metrics.one_metric),
            Route("/api/points", metrics.points),
            Route("/api/hijacked", hijacks.hijacked),
            Route("/api/hijacked/{function:path}", hijacks.one_hijacked),
            Route("/api/hijacks", hijacks.listed),
            Route("/api/hijacks", hijacks.add, methods=["POST"]),
            Route("/api/hijacks/history", history),
            Route("/api/hijacks/diff", diff),
            Route("/api/hijacks/undo", undo, methods=["POST"]),
            Route("/api/hijacks/stale", stale),
            Route("/api/hijacks/{id}/impact", impact.one_impact),
            Route("/api/analysis/impact", impact.impacts),
            Route("/api/analysis/external", external.externals),
            Route("/api/analysis/overhead", overhead.overhead),
            Route("/api/analysis/external/mock", external.mock, methods=["POST"]),
            Route("/api/analysis/cacheability", cacheability.candidates),
            Route("/api/analysis/cacheability/{function:path}", cacheability.one_candidate),
            Route("/api/hijacks/{id:hijack}", hijacks.one),
            Route("/api/hijacks/{id:hijack}", hijacks.replace, methods=["PUT"]),
            Route("/api/hijacks/{id:hijack}", hijacks.remove, methods=["DELETE"]),
            Route("/api/hijacks/{id:hijack}/renew", renew, methods=["POST"]),
            Route("/api/hijacks/{id:hijack}/patch", patch.one),
            Route("/api/patch", patch.every),
            Route("/api/off", off, methods=["POST"]),
            Route("/api/on", on, methods=["POST"]),
            Route("/api/audit", audit),
            Route(CACHE_FIND_PATH, shared.find, methods=["POST"]),
            Route(CACHE_KEEP_PATH, shared.keep, methods=["POST"]),
            Route(RECORDINGS_KEEP_PATH, recordings.keep, methods=["POST"]),
            Route(RECORDINGS_LOAD_PATH, recordings.load, methods=["POST"]),
            Route("/api/recordings", recordings.recordings),
            Route("/api/recordings/{name}", recordings.one_recording),
            Route("/api/recordings/{name}", recordings.delete_recording, methods=["DELETE"]),
            Route("/api/cache/{function}/{key:path}", cache.one_entry),
            Route("/api/cache/{function}/{key:path}", cache.put_entry, methods=["PUT"]),
            Route("/api/cache/{function}/{key:path}", cache.delete_entry, methods=["DELETE"]),
            Route("/api/logs", logs.logs, methods=["POST"]),
            Route("/api/state/snapshots", state.snapshots, methods=["POST"]),
            Route("/api/state/timeline", state.timeline),
            Route("/api/traces", traces.traces),
            Route("/api/traces/{id}", traces.one_trace),
            Route("/api/analysis/flame", traces.flame_graph),
            *servers.ROUTES,
            Route("/openapi.json", openapi.endpoint),
            Route(CHAT_PATH, chat),
            Route(CHAT_METADATA_PATH, chat),
        ],
        middleware=[Middleware(Gate, settings=settings), Middleware(Intake)],
        exception_handlers={
            Invalid: invalid,
            Conflict: conflict,
            HTTPException: http_error,
            StoreError: unavailable,
            ServersError: servers.failed,
            Exception: crashed,
        },
        lifespan=_lifespan(parts, chat, release),
    )
    app.state.parts = parts
    app.state.chat = chat
    return app


def build_parts(settings: Settings) -> tuple[Parts, Callable[[], None]]:
    """Return the parts, not yet started, and what releases their files."""
    lock = _own(settings.data_dir)
    store = SqliteStore(
        settings.data_dir / "telemetry.db",
        max_age=settings.retention_seconds,
        max_bytes=settings.retention_bytes,
        max_functions=settings.max_functions,
    )
    registry = Registry(
        settings.data_dir / "hijacks.db",
        policy=Policy(settings.default_expiry, settings.allowed_strategies),
        held_off="MYSTIC_OFF" if settings.off else "",
    )
    entries = EmbeddedEntries(settings.data_dir / "cache", settings.cache_bytes)
    recorded = Recordings(settings.data_dir / "recordings.db")
    fleet = Fleet()
    parts = Parts(
        settings=settings,
        store=store,
        writer=Writer(store, settings.max_queue_bytes),
        registry=registry,
        fleet=fleet,
        streams=Streams(registry, fleet),
        catalog=Catalog(settings.project_root),
        cache=entries,
        recordings=recorded,
        managed=Managed(settings),
    )

    def release() -> None:
        store.close()
        registry.close()
        entries.close()
        recorded.close()
        lock.close()

    return parts, release


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
    parts: Parts, chat: ChatMount, release: Callable[[], None]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with contextlib.ExitStack() as undo:
            undo.callback(release)
            parts.writer.start()
            undo.callback(parts.streams.open())
            parts.managed.wake()
            try:
                yield
            finally:
                await chat.stop()
                await parts.managed.close()
                await asyncio.to_thread(parts.writer.stop)

    return lifespan
