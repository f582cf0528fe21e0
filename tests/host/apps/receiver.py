"""A collector's stand-in that adds up what the processes of an application say, and tells them what to hijack."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from mystic_agent.contract import wire

PATIENCE = 30.0


class Span(NamedTuple):
    """One span as it was sent; the ids are bytes."""

    function: str
    trace: bytes
    id: bytes
    parent: bytes


class Receiver:
    """Takes OTLP and reports on a free port of loopback, in the test's own process.

    Attributes:
        port: where it listens.
        states: instance → function → its state, from the reports.
    """

    def __init__(self) -> None:
        self.states: dict[str, dict[str, str]] = {}
        self._timed: dict[tuple[str, str], int] = {}
        self._counted: dict[tuple[str, str], int] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self._spans: list[Span] = []
        self._changed = threading.Condition()
        self._set = b""
        self._version = 0
        self._closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self), bind_and_activate=False)
        self._server.request_queue_size = 128
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.server_bind()
        self._server.server_activate()
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    # -- what a test asks -------------------------------------------------------------------------

    def calls(self, glob: str = "*") -> dict[str, int]:
        """Return the calls of the functions that match, added up over all processes."""
        with self._changed:
            return self._sums(glob, self._timed, self._counted)

    def errors(self, glob: str = "*") -> dict[str, int]:
        """Return the calls that ended in an error, likewise."""
        with self._changed:
            return self._sums(glob, self._errors)

    def processes(self, function: str) -> int:
        """Return in how many processes ``function`` was called."""
        with self._changed:
            return len({instance for instance, name in (*self._timed, *self._counted) if name == function})

    def spans(self) -> list[Span]:
        """Return the spans so far, in order of arrival."""
        with self._changed:
            return list(self._spans)

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Return the first true value of ``condition``, looked at whenever something arrives; False if none comes."""
        with self._changed:
            return self._changed.wait_for(condition, PATIENCE)

    def settle(self, expected: Mapping[str, int]) -> dict[str, int]:
        """Wait until ``expected`` is reached, and return the calls of the same functions as they then are."""
        self.wait(lambda: all(self.calls().get(name, 0) >= count for name, count in expected.items()))
        calls = self.calls()
        return {name: calls.get(name, 0) for name in expected}

    def push(self, *hijacks: Mapping[str, Any]) -> None:
        """Put these hijacks, and no others, in force."""
        with self._changed:
            self._version += 1
            data = json.dumps({"version": self._version, "hijacks": hijacks})
            self._set = f"event: {wire.HIJACKS_EVENT}\nid: {self._version}\ndata: {data}\n\n".encode()
            self._changed.notify_all()

    def close(self) -> None:
        """End the server and every stream."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # -- what processes send ----------------------------------------------------------------------

    def _take(self, path: str, body: bytes) -> None:
        with self._changed:
            if path == wire.METRICS_PATH:
                self._take_metrics(body)
            elif path == wire.TRACES_PATH:
                self._take_spans(body)
            elif path == wire.REPORT_PATH:
                self._take_report(json.loads(body))
            self._changed.notify_all()

    def _take_metrics(self, body: bytes) -> None:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            instance = _texts(resource.resource.attributes)[wire.INSTANCE_ID]
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if metric.name == wire.DURATION:
                    for point in metric.exponential_histogram.data_points:
                        key = instance, _texts(point.attributes)[wire.FUNCTION]
                        self._timed[key] = max(self._timed.get(key, 0), point.count)
                elif metric.name in (wire.CALLS, wire.ERRORS):
                    kept = self._counted if metric.name == wire.CALLS else self._errors
                    for number in metric.sum.data_points:
                        kept[instance, _texts(number.attributes)[wire.FUNCTION]] = number.as_int

    def _take_spans(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                function = _texts(span.attributes)[wire.FUNCTION]
                self._spans.append(Span(function, span.trace_id, span.span_id, span.parent_span_id))

    def _take_report(self, report: dict[str, Any]) -> None:
        known = self.states.setdefault(report["instance"], {})
        if report["complete"]:
            known.clear()
        known.update({one["function"]: one["state"] for one in report["functions"]})

    def _sums(self, glob: str, *kept: Mapping[tuple[str, str], int]) -> dict[str, int]:
        sums: dict[str, int] = {}
        for (_, function), count in (item for one in kept for item in one.items()):
            if fnmatchcase(function, glob):
                sums[function] = sums.get(function, 0) + count
        return sums

    def _next(self, seen: int) -> tuple[int, bytes] | None:
        """Return the newest set of hijacks once it is another than ``seen``; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._version != seen)
            return None if self._closed else (self._version, self._set)


def _texts(attributes: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in attributes}


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver._take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            seen = 0
            while (news := receiver._next(seen)) is not None:
                seen, event = news
                self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
                self.wfile.flush()
            self.close_connection = True

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the process at the other end is gone
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
