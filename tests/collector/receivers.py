"""Receivers of OTLP: oteltap, which nobody here wrote, and one that answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from .conftest import PATIENCE

Reply = tuple[int, dict[str, str], bytes]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Tap:
    """What oteltap has read.

    Attributes:
        spans, metrics, logs: messages in the order they came.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.metrics: list[Any] = []
        self.logs: list[Any] = []


@contextlib.contextmanager
def tapping(port: int) -> Iterator[Tap]:
    """Run oteltap on a port, in a thread with a loop of its own."""
    found, ready = Tap(), threading.Event()
    loop, ending = asyncio.new_event_loop(), asyncio.Event()

    async def receive() -> None:
        async def keep(stream: Any, into: list[Any]) -> None:
            async for one in stream:
                into.append(one)

        async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port)) as tap:
            streams = (tap.stream_traces(), tap.stream_metrics(), tap.stream_logs())
            kept = zip(streams, (found.spans, found.metrics, found.logs), strict=True)
            tasks = [asyncio.create_task(keep(stream, into)) for stream, into in kept]
            await asyncio.sleep(0)  # each has begun to listen
            ready.set()
            await ending.wait()
        await asyncio.gather(*tasks)

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(receive())
            loop.run_until_complete(loop.shutdown_default_executor())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield found
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """A receiver that answers what ``answer`` says; it notes every request.

    Attributes:
        requests: as they came, bodies inflated, names of headers in lower case.
    """

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self.url = ""


@contextlib.contextmanager
def scripted(answer: Callable[[Request], Reply] = lambda request: (200, {}, b"")) -> Iterator[Scripted]:
    found = Scripted(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            inflated = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            request = Request(self.path, headers, inflated)
            found.requests.append(request)
            status, more, text = found.answer(request)
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()
