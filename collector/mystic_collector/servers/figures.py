"""What is counted about managed servers, as OpenTelemetry metrics: starts, failures by cause, states, sessions, calls.

| Metric | Attributes |
|---|---|
| ``mystic.servers`` (gauge) | ``state`` |
| ``mystic.servers.starts`` | ``type``, ``mode`` |
| ``mystic.servers.failures`` | ``cause``: of a refusal or a failure |
| ``mystic.servers.sessions`` (open now), ``mystic.servers.sessions.opened`` | ``server`` |
| ``mystic.servers.calls`` (histogram, s) | ``server``, ``method``, ``outcome``: ``ok``, ``error``, ``lost`` |
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from mystic_collector.otlp.points import read_points
from mystic_collector.servers.server import STATES, Server
from mystic_collector.store.records import Incoming
from mystic_collector.version import VERSION

SERVICE = "gnosis-mystic"
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""Seconds; bounds of the histogram of calls."""

METHODS = frozenset(
    (
        *("initialize", "ping", "tools/list", "tools/call", "prompts/list", "prompts/get", "completion/complete"),
        *("resources/list", "resources/read", "resources/subscribe", "resources/unsubscribe"),
        *("resources/templates/list", "logging/setLevel"),
    )
)
OTHER = "other"
_MOST_NAMES = 200
"""Names of servers that are told apart; later ones share one name, since a metric never forgets."""


class Figures:
    """Counts; for one event loop."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        told = {"service.name": SERVICE, "service.version": VERSION, "service.instance.id": uuid4().hex}
        self._provider = MeterProvider([self._reader], Resource(told), shutdown_on_exit=False)
        meter = self._provider.get_meter("mystic_collector.servers", VERSION)
        self._starts = meter.create_counter("mystic.servers.starts", "{start}")
        self._failures = meter.create_counter("mystic.servers.failures", "{failure}")
        self._sessions = meter.create_up_down_counter("mystic.servers.sessions", "{session}")
        self._opened = meter.create_counter("mystic.servers.sessions.opened", "{session}")
        self._calls = meter.create_histogram(
            "mystic.servers.calls", "s", explicit_bucket_boundaries_advisory=list(BOUNDS)
        )
        meter.create_observable_gauge("mystic.servers", [self._observe], "{server}")
        self._states: Counter[str] = Counter()
        self._names: set[str] = set()

    def _observe(self, options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(self._states[state], {"state": state}) for state in STATES]

    def started(self, server: Server) -> None:
        """Count a start that was begun."""
        self._starts.add(1, {"type": server.spec.server_type, "mode": server.mode})

    def failed(self, cause: str) -> None:
        """Count what was refused or has failed."""
        self._failures.add(1, {"cause": cause})

    def listed(self, servers: Iterable[Server]) -> None:
        """Take note of how many servers are in which state."""
        self._states = Counter(one.state for one in servers)

    def opened(self, name: str) -> None:
        """Count a session of a client."""
        self._sessions.add(1, {"server": self._named(name)})
        self._opened.add(1, {"server": self._named(name)})

    def closed(self, name: str) -> None:
        """Count the end of a session."""
        self._sessions.add(-1, {"server": self._named(name)})

    def called(self, name: str, method: str, outcome: str, seconds: float) -> None:
        """Count an answer of a server, or that there was none."""
        method = method if method in METHODS else OTHER
        self._calls.record(seconds, {"server": self._named(name), "method": method, "outcome": outcome})

    def _named(self, name: str) -> str:
        if name not in self._names and len(self._names) >= _MOST_NAMES:
            return f"({OTHER})"
        self._names.add(name)
        return name

    def read(self) -> Sequence[Incoming]:
        """Return all figures as they are now, as a store takes them."""
        data = self._reader.get_metrics_data()
        return read_points(encode_metrics(data))[0] if data is not None else []

    def rows(self) -> list[dict[str, Any]]:
        """Return all figures as they are now: ``{"metric", "unit", "attributes", "value", …}`` as ``/api/points``."""
        found = []
        for point in (point for incoming in self.read() for point in incoming.points):
            row = {"metric": point.metric, "unit": point.unit, "attributes": json.loads(point.attributes)}
            found.append({**row, "value": point.value, **(json.loads(point.detail) if point.detail else {})})
        return sorted(found, key=lambda row: (row["metric"], json.dumps(row["attributes"], sort_keys=True)))

    @staticmethod
    def of_server(rows: Iterable[dict[str, Any]], name: str) -> dict[str, Any]:
        """Return what :meth:`rows` say of one server: open sessions, calls, how many went wrong, seconds a call."""
        mine = [row for row in rows if row["attributes"].get("server") == name]
        calls = [row for row in mine if row["metric"] == "mystic.servers.calls"]
        count = sum(row["count"] for row in calls)
        return {
            "sessions": int(sum(row["value"] for row in mine if row["metric"] == "mystic.servers.sessions")),
            "calls": count,
            "errors": sum(row["count"] for row in calls if row["attributes"]["outcome"] != "ok"),
            "average": sum(row["value"] for row in calls) / count if count else None,
        }

    def close(self) -> None:
        """Count no more."""
        self._provider.shutdown()
