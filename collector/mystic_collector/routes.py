"""Every route of the collector, by who asks for what; the handlers are in ``api``."""

from __future__ import annotations

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
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from mystic_collector import openapi
from mystic_collector.api import (
    cache,
    cacheability,
    discovery,
    doctor,
    external,
    functions,
    hijacks,
    impact,
    live,
    logs,
    metrics,
    overhead,
    patch,
    rates,
    recordings,
    servers,
    shared,
    state,
    status,
    strategies,
    traces,
)
from mystic_collector.api.changes import audit, diff, history, off, on, renew, undo
from mystic_collector.api.stale import listed as stale
from mystic_collector.ingest.endpoint import Ingest
from mystic_collector.parts import Parts
from mystic_collector.security import CHAT_METADATA_PATH, CHAT_PATH
from mystic_collector.web import page

LOOKING: tuple[Route, ...] = (
    Route(HEALTH_PATH, status.health),
    Route("/api/status", status.status),
    Route("/api/doctor", doctor.doctor),
    Route("/api/init", status.init, methods=["POST"]),
    Route("/api/functions", functions.functions),
    Route("/api/functions/inspect", functions.inspect_function, methods=["POST"]),
    Route("/api/discovered", discovery.discovered),
    Route("/api/resolve", discovery.resolve),
    Route("/api/metrics", metrics.metrics),
    Route("/api/metrics/{function:path}", metrics.one_metric),
    Route("/api/points", metrics.points),
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
    Route("/api/strategies", strategies.strategies),
    Route("/api/live", live.live),
)
"""What people and programs look at."""

CHANGES: tuple[Route, ...] = (
    Route("/api/functions/hijack", functions.hijack, methods=["POST"]),
    Route("/api/functions/unhijack", functions.unhijack, methods=["POST"]),
    Route("/api/hijacked", hijacks.hijacked),
    Route("/api/hijacked/{function:path}", hijacks.one_hijacked),
    Route("/api/hijacks", hijacks.listed),
    Route("/api/hijacks", hijacks.add, methods=["POST"]),
    Route("/api/hijacks/history", history),
    Route("/api/hijacks/diff", diff),
    Route("/api/hijacks/undo", undo, methods=["POST"]),
    Route("/api/hijacks/stale", stale),
    Route("/api/hijacks/{id}/impact", impact.one_impact),
    Route("/api/hijacks/{id:hijack}", hijacks.one),
    Route("/api/hijacks/{id:hijack}", hijacks.replace, methods=["PUT"]),
    Route("/api/hijacks/{id:hijack}", hijacks.remove, methods=["DELETE"]),
    Route("/api/hijacks/{id:hijack}/renew", renew, methods=["POST"]),
    Route("/api/hijacks/{id:hijack}/patch", patch.one),
    Route("/api/patch", patch.every),
    Route("/api/off", off, methods=["POST"]),
    Route("/api/on", on, methods=["POST"]),
    Route("/api/audit", audit),
)
"""What changes functions, and what is known of changes."""

ANALYSES: tuple[Route, ...] = (
    Route("/api/analysis/impact", impact.impacts),
    Route("/api/analysis/external", external.externals),
    Route("/api/analysis/overhead", overhead.overhead),
    Route("/api/analysis/external/mock", external.mock, methods=["POST"]),
    Route("/api/analysis/cacheability", cacheability.candidates),
    Route("/api/analysis/cacheability/{function:path}", cacheability.one_candidate),
    Route("/api/analysis/flame", traces.flame_graph),
    Route("/api/analysis/relations", traces.relations),
    Route("/api/analysis/rates", rates.rates),
)
"""What is to be concluded from it."""


def routes(parts: Parts, ingest: Ingest, chat: ASGIApp) -> list[BaseRoute]:
    """Return all routes, in the order in which they are tried.

    Args:
        parts: of this collector.
        ingest: takes telemetry.
        chat: speaks MCP.
    """
    return [
        Route(TRACES_PATH, ingest.traces, methods=["POST"]),
        Route(METRICS_PATH, ingest.metrics, methods=["POST"]),
        Route(LOGS_PATH, ingest.logs, methods=["POST"]),
        Route(STREAM_PATH, parts.streams.endpoint),
        Route(REPORT_PATH, hijacks.report, methods=["POST"]),
        Route(CACHE_FIND_PATH, shared.find, methods=["POST"]),
        Route(CACHE_KEEP_PATH, shared.keep, methods=["POST"]),
        Route(RECORDINGS_KEEP_PATH, recordings.keep, methods=["POST"]),
        Route(RECORDINGS_LOAD_PATH, recordings.load, methods=["POST"]),
        *LOOKING,
        *CHANGES,
        *ANALYSES,
        *servers.ROUTES,
        *page.ROUTES,
        Route("/openapi.json", openapi.endpoint),
        Route(CHAT_PATH, chat),
        Route(CHAT_METADATA_PATH, chat),
    ]
