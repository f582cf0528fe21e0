"""A collector for tests: a real HTTP server on a free port of loopback that remembers what it was sent."""

from __future__ import annotations

import json
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mystic_agent.contract.report import Report
from mystic_agent.link import Endpoint, Link
from mystic_agent.link.hijack_set import HijackSet
from mystic_agent.otlp import encode_resource
from mystic_agent.outbox import Outbox
from mystic_agent.records import Batch

PATIENCE = 15.0


class Posted(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Handler(BaseHTTPRequestHandler):
    """One connection to a Collector, which is the server's ``collector``."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def collector(self) -> Collector:
        return self.server.collector  # type: ignore[attr-defined, no-any-return]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        posted = Posted(self.path, dict(self.headers), body)
        answer = self.collector.answer(posted)
        with self.collector.answering(posted):
            self._reply(answer)

    def do_GET(self) -> None:
        waiting = self.collector.follow(Posted(self.path, dict(self.headers), b""))
        if self.collector.stream_answer is not None:
            self._reply(self.collector.stream_answer)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (piece := waiting.get()) is not None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.close_connection = True

    def _reply(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def setup(self) -> None:
        super().setup()
        self.collector.connections.append(self.connection)

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Collector:
    """Answers posts by ``answer`` (200 when that is not set) and keeps one stream per GET open."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.posts: list[Posted] = []
        self.asked: list[Posted] = []
        self.answer: Callable[[Posted], Answer] = lambda posted: Answer()
        self.stream_answer: Answer | None = None
        self.greeting: list[bytes] = []
        self.changed = threading.Condition()
        self.connections: list[Any] = []
        self._streams: list[queue.Queue[bytes | None]] = []
        self._unanswered = 0
        self._closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler, bind_and_activate=False)
        self._server.collector = self  # type: ignore[attr-defined]
        self._server.allow_reuse_address = True
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self._server.handle_error = lambda *_: None  # a client that distrusts us hangs up
        self._server.server_bind()
        self._server.server_activate()
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def follow(self, asked: Posted) -> queue.Queue[bytes | None]:
        """Return what a stream is to send, which begins with the greeting."""
        waiting: queue.Queue[bytes | None] = queue.Queue()
        for piece in self.greeting:
            waiting.put(piece)
        self._streams.append(waiting)
        with self.changed:
            self.asked.append(asked)
            self.changed.notify_all()
        return waiting

    def push(self, piece: bytes) -> None:
        """Send ``piece`` on every open stream."""
        for stream in list(self._streams):
            stream.put(piece)

    def push_set(self, version: int, *hijacks: object) -> None:
        self.push(event_of(version, *hijacks))

    def wait(self, condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """Return the first true value of ``condition``, looked at whenever a request arrives and now and then."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < deadline, "not in time"
            with self.changed:
                self.changed.wait(0.02)
        return value

    def of(self, path: str) -> list[Posted]:
        return [posted for posted in self.posts if posted.path == path]

    @contextmanager
    def answering(self, posted: Posted) -> Iterator[None]:
        """Keep ``posted`` as received, which closing respects: what was received is answered too.

        Raises ConnectionAbortedError after the closing; a client would send again what it heard no answer to.
        """
        with self.changed:
            if self._closed:
                raise ConnectionAbortedError
            self._unanswered += 1
            self.posts.append(posted)
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self._unanswered -= 1
                self.changed.notify_all()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self.changed:
            self._closed = True
            assert self.changed.wait_for(lambda: not self._unanswered, PATIENCE), "an answer was not sent"
        for stream in self._streams:
            stream.put(None)
        for connection in self.connections:
            try:
                connection.shutdown(2)
            except OSError:
                pass
        self._thread.join()


def event_of(version: int, *hijacks: object) -> bytes:
    data = json.dumps({"version": version, "hijacks": hijacks})
    return f"event: hijacks\nid: {version}\ndata: {data}\n\n".encode()


class Owner:
    """The agent's part: what it says, and what it was told."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.applied: queue.Queue[tuple[int, list[str], list[tuple[str, str]]]] = queue.Queue()
        self.faults: queue.Queue[tuple[str, BaseException]] = queue.Queue()
        self.reports: list[bool] = []
        self.outbox = Outbox()

    def collect(self) -> Batch:
        batch, self.batch = self.batch, Batch(readings=self.batch.readings, counts=self.batch.counts)
        return batch

    def report(self, complete: bool) -> Report | None:
        self.reports.append(complete)
        return Report("one", "shop", "development", 1, 0, complete, (), {}) if complete else None

    def apply(self, received: HijackSet) -> None:
        self.applied.put((received.version, [hijack.id for hijack in received.hijacks], list(received.rejected)))

    def fault(self, where: str, error: BaseException) -> None:
        self.faults.put((where, error))

    def link(self, port: int, **more: Any) -> Link:
        interval = more.pop("interval", 0.05)
        endpoint = Endpoint("127.0.0.1", port, service="shop", instance="one", **more)
        return Link(
            endpoint,
            collect=self.collect,
            report=self.report,
            apply=self.apply,
            resource=encode_resource((("service.name", "shop"),)),
            start_ns=1,
            outbox=self.outbox,
            interval=interval,
            on_fault=self.fault,
        )


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def restart() -> Iterator[Callable[[int], Collector]]:
    """Start another collector on the port of one that was closed."""
    made: list[Collector] = []

    def again(port: int) -> Collector:
        made.append(Collector(port))
        return made[-1]

    yield again
    for one in made:
        one.close()


@pytest.fixture
def secure() -> Iterator[Callable[..., Collector]]:
    """Start a collector that speaks TLS with a certificate and its key."""
    made: list[Collector] = []

    def start(certificate: Path, key: Path) -> Collector:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        made.append(Collector(0, context))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def linked(owner: Owner) -> Iterator[Callable[..., Link]]:
    """Start a link that is stopped at the end of the test; nothing of it may be left then."""
    links: list[Link] = []

    def start(port: int, **more: Any) -> Link:
        link = owner.link(port, **more)
        link.start()
        links.append(link)
        return link

    yield start
    for link in links:
        link.stop(PATIENCE)
    assert not [thread.name for link in links for thread in link._threads() if thread.is_alive()]


@pytest.fixture
def event() -> Callable[..., bytes]:
    return event_of


@pytest.fixture
def answer() -> type[Answer]:
    return Answer
