"""Servers that are broken, slow or hostile: the agent stays within its bounds and believes them nothing."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from mystic_agent.link.backoff import LONGEST_ASKED
from mystic_agent.link.connection import MOST_HEAD_BYTES, Connection
from mystic_agent.link.endpoint import Destination
from mystic_agent.link.listener import Flood, Listener
from mystic_agent.link.reply import BadReply
from mystic_agent.link.shield import Shield
from mystic_agent.outbox import Outbox, Payload
from mystic_agent.records import Batch, Reading, SpanRecord

SPAN = SpanRecord("shop:buy", bytes(16), bytes(8), b"", 1, 2)


class Raw:
    """Accepts connections and hands each to ``behave`` on a thread of its own."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.accepted: list[socket.socket] = []
        self._behave = behave
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.accepted.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.recv(65536)
            self._behave(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        for one in (self._listening, *self.accepted):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._listening.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], Raw]]:
    made: list[Raw] = []

    def start(behave: Callable[[socket.socket], None]) -> Raw:
        made.append(Raw(behave))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def connect() -> Iterator[Callable[[int], Connection]]:
    made: list[Connection] = []

    def to(port: int) -> Connection:
        made.append(Connection(Destination("127.0.0.1", port)))
        return made[-1]

    yield to
    for one in made:
        one.close()


def black_hole(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def gigabyte(head: bytes, megabyte: bytes = bytes(2**20)) -> Callable[[socket.socket], None]:
    sent = 0

    def behave(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(head)
        for _ in range(1024):
            connection.sendall(megabyte)
            sent += 2**20

    behave.sent = lambda: sent  # type: ignore[attr-defined]
    return behave


def test_a_black_hole_holds_neither_flush_nor_stop_nor_memory(raw, owner, linked) -> None:
    server = raw(black_hole)
    owner.outbox = Outbox(2000)
    owner.collect = lambda: Batch([SPAN._replace(span_id=os.urandom(8)) for _ in range(10)], [])

    link = linked(server.port, interval=0.001)
    wait(lambda: owner.outbox.dropped.get("spans"))

    assert not link.flush(0.05)
    assert owner.outbox.waiting_bytes <= 2000
    assert not link.connected


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["sized", "until closed", "one chunk", "header", "chunk size"],
)
def test_a_reply_of_a_gigabyte_is_cut(raw, connect, head) -> None:
    behave = gigabyte(head)
    connection = connect(raw(behave).port)

    with pytest.raises(BadReply):
        connection.post("/v1/traces", (), b"x", 10)

    assert behave.sent() < 64 * 2**20


@pytest.mark.parametrize(
    "reply",
    [
        b"hello\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (MOST_HEAD_BYTES + 70_000),
    ],
)
def test_what_is_not_http_is_refused(raw, connect, reply) -> None:
    with pytest.raises(BadReply):
        connect(raw(lambda connection: connection.sendall(reply)).port).post("/", (), b"", 10)


def test_a_server_that_drips_one_byte_at_a_time_is_left_at_the_deadline(raw, connect) -> None:
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not ended.wait(0.01):
            connection.sendall(b"a")

    server = raw(drip)
    with pytest.raises(TimeoutError):
        connect(server.port).post("/", (), b"", 0.2)
    ended.set()


def test_a_stream_that_falls_silent_is_left_and_joined_again(raw) -> None:
    def silent(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        black_hole(connection)

    server = raw(silent)
    faults: list[BaseException] = []
    listener = Listener(
        Destination("127.0.0.1", server.port),
        "/",
        Shield(lambda where, error: faults.append(error)),
        opened=lambda: None,
        arrived=lambda received: None,
        idle=0.05,
    )
    listener.thread.start()

    wait(lambda: len(server.accepted) >= 3)
    listener.stop()
    listener.thread.join(15)

    assert isinstance(faults[0], TimeoutError)
    assert not listener.thread.is_alive()


def test_a_stream_that_floods_is_cut(raw, owner, linked) -> None:
    behave = gigabyte(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", b":\n" * 2**19)

    linked(raw(behave).port)
    wait(lambda: any(where == "link.listen" for where, _ in list(owner.faults.queue)))

    [error] = [error for where, error in owner.faults.queue if where == "link.listen"]
    assert isinstance(error, Flood)
    assert behave.sent() < 64 * 2**20


def test_spans_that_cannot_be_encoded_or_sent_are_counted(collector, owner, linked) -> None:
    owner.batch = Batch([SPAN, SPAN._replace(trace_id=None)], [])
    link = linked(collector.port)
    assert owner.faults.get(timeout=10)[0] == "link.collect"
    assert owner.outbox.dropped == {"spans": 2}

    owner.outbox.put(Payload("spans", b"not gzip", 3))
    link._senders[0]._gzip = False
    link.flush(10)
    assert owner.outbox.dropped == {"spans": 5}
    assert link.flush(10)


def test_informational_replies_and_chunks_with_extensions_are_read(raw, connect) -> None:
    reply = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    )

    head, body = connect(raw(lambda connection: connection.sendall(reply)).port).post("/", (), b"", 10)

    assert (head.status, body) == (200, b"abcde")


def test_a_connection_that_the_server_closed_while_idle_is_replaced_unseen(raw, connect) -> None:
    server = raw(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    connection = connect(server.port)

    assert [connection.post("/", (), b"", 10)[0].status for _ in range(3)] == [200] * 3
    assert len(server.accepted) == 3


def test_a_header_that_would_add_a_line_is_never_sent(raw, connect) -> None:
    server = raw(black_hole)

    with pytest.raises(OSError, match="X-Mystic-Key") as caught:
        connect(server.port).post("/", (("X-Mystic-Key", "secret\r\nX: y"),), b"", 10)

    assert "secret" not in str(caught.value)
    assert server.accepted == []


def test_a_redirect_is_not_followed_and_the_key_stays_with_the_collector(collector, raw, owner, linked, answer) -> None:
    elsewhere = raw(black_hole)
    location = (("Location", f"http://127.0.0.1:{elsewhere.port}/"),)
    collector.answer = lambda posted: answer(307, location)
    collector.stream_answer = answer(302, location)
    owner.batch = Batch([SPAN], [])

    linked(collector.port, api_key="s3cret")

    collector.wait(lambda: len(collector.of("/v1/traces")) >= 3 and len(collector.asked) >= 2)
    assert elsewhere.accepted == []
    assert owner.outbox.dropped == {}


def test_after_an_answer_of_overload_the_wait_is_as_long_as_asked(collector, owner, linked, answer) -> None:
    collector.answer = lambda posted: answer(429, (("Retry-After", "3600"),))
    owner.batch = Batch([SPAN], [])
    link = linked(collector.port)
    owner.faults.get(timeout=10)

    sender = link._senders[0]
    collector.wait(lambda: sender._not_before)
    assert 200 < sender._not_before - time.monotonic() <= LONGEST_ASKED

    collector.answer = lambda posted: answer()
    assert link.flush(10), "a flush at exit is one attempt whatever was asked"
    assert owner.outbox.dropped == {}


def test_what_the_receiver_refuses_for_good_is_dropped_and_counted(collector, owner, linked, answer) -> None:
    collector.answer = lambda posted: answer(400 if posted.path == "/v1/traces" else 200)
    owner.batch = Batch([SPAN, SPAN, SPAN], [])

    link = linked(collector.port)

    where, error = owner.faults.get(timeout=10)
    assert (where, "400" in str(error)) == ("link.send", True)
    assert link.flush(10)
    assert owner.outbox.dropped == {"spans": 3}


def test_a_payload_that_breaks_the_receiver_does_not_block_those_behind_it(collector, owner, linked, answer) -> None:
    first: list[bytes] = []

    def breaks_on_the_first(posted):
        if posted.path != "/v1/traces":
            return answer()
        first.append(posted.body)
        return answer(500 if posted.body == first[0] else 200)

    collector.answer = breaks_on_the_first
    owner.batch = Batch([SPAN, SPAN], [])
    link = linked(collector.port)
    collector.wait(lambda: first)
    owner.batch = Batch([SPAN._replace(function="shop:sell")], [])

    while len(first) < 6:
        link.flush(10)
    assert owner.outbox.dropped == {"spans": 2}
    assert first.count(first[0]) == 5


def test_a_partial_success_counts_what_was_rejected(collector, owner, linked, answer) -> None:
    body = b"\x0a\x06\x08\x02\x12\x02no"
    collector.answer = lambda posted: answer(200, (), body if posted.path == "/v1/traces" else b"")
    owner.batch = Batch([SPAN, SPAN, SPAN], [])

    assert linked(collector.port).flush(10)

    assert owner.outbox.dropped == {"spans": 2}


def test_a_collector_that_is_not_there_is_told_once_and_flush_does_not_wait_for_it(owner, linked) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    buckets = tuple(1 if b == 3 else 0 for b in range(64))
    owner.batch = Batch([SPAN], [Reading("shop:buy", buckets, 5, 5, 5)])

    link = linked(port, interval=0.01)
    assert [link.flush(10) for _ in range(5)] == [False] * 5

    places = [owner.faults.get(timeout=10)[0] for _ in range(2)]
    assert sorted(places) == ["link.listen", "link.send"]
    assert owner.faults.empty()
    assert owner.outbox.waiting == 2
