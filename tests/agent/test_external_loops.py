"""Connections that uvloop opens are seen as those of asyncio's own loop are, and the application sees no difference."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from mystic_agent.external.external import External
from mystic_agent.guard import guard

from tests.agent.test_external import PATIENCE, echo, figures, sums

uvloop = pytest.importorskip("uvloop")


def run(work: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work, PATIENCE)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


async def talk(port: int, *sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    for one in sent:
        writer.write(one)
        got += await reader.readexactly(len(one))
    writer.close()
    await writer.wait_closed()
    return got


def test_requests_and_bytes_are_exact(external: External) -> None:
    with echo() as port:
        assert run(talk(port, b"GET / HTTP/1.1\r\n\r\n", b"more")) == b"GET / HTTP/1.1\r\n\r\nmore"
        assert run(talk(port, b"GET / HTTP/1.1\r\n\r\n")) == b"GET / HTTP/1.1\r\n\r\n"
    found = figures(external)[f"127.0.0.1:{port}", "http"]
    more = figures(external)[f"127.0.0.1:{port}", ""]
    assert (found["connections"], found["operations"] + more["operations"]) == (2, 3)
    assert (found["sent"] + more["sent"], found["received"] + more["received"]) == (40, 40)
    assert found["waited"] > 0
    assert "errors" not in found


def test_one_that_refuses_is_an_error_and_one_that_is_cancelled_is_none(external: External) -> None:
    async def refused(port: int) -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        waiting = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", port))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with echo() as port:
        pass
    run(refused(port))
    assert sums(external, port)["errors"] == 1


class Lines(asyncio.BufferedProtocol):
    """A protocol with a buffer of its own, that writes at once, and hands over to another one."""

    def __init__(self) -> None:
        self.buffer, self.got = bytearray(100), b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.writelines(iter([b"at", b"once"]))

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.got += self.buffer[:nbytes]
        if len(self.got) == 6:
            self.transport.set_protocol(Last(self.done))
            self.transport.write(b"later")


class Last(asyncio.Protocol):
    def __init__(self, done: Any) -> None:
        self.done, self.got = done, b""

    def data_received(self, data: bytes) -> None:
        self.got += data
        if len(self.got) == 5:
            self.done.set_result(self)


def test_a_protocol_with_a_buffer_one_that_follows_it_and_a_transport_are_the_applications_own(
    external: External,
) -> None:
    async def work(port: int) -> None:
        transport, first = await asyncio.get_running_loop().create_connection(Lines, "127.0.0.1", cast(int, str(port)))
        assert type(first) is Lines
        assert isinstance(transport, asyncio.Transport)
        assert first.transport is transport
        last = await first.done
        assert (first.got, last.got) == (b"atonce", b"later")
        assert transport.get_protocol() is last
        assert transport.get_extra_info("peername") == ("127.0.0.1", port)
        assert transport.get_extra_info("socket").fileno() > 0
        assert transport.get_write_buffer_size() == 0
        assert not transport.is_closing()
        transport.abort()
        assert transport.is_closing()

    with echo() as port:
        run(work(port))
    found = sums(external, port)
    assert (found["connections"], found["operations"], found["sent"], found["received"]) == (1, 2, 11, 11)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
               "-keyout", str(path), "-out", str(path.with_suffix(".crt"))]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.mark.parametrize("how", ["at once", "later"])
def test_what_goes_through_tls_is_counted_as_the_application_wrote_it(
    external: External, certificate: Path, how: str
) -> None:
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    theirs.load_cert_chain(certificate)
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE

    async def serve(reader: Any, writer: Any) -> None:
        if how == "later":
            writer.write(await reader.readexactly(5))
            await writer.drain()
            await writer.start_tls(theirs)
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def work() -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=theirs if how == "at once" else None)
        port: int = server.sockets[0].getsockname()[1]
        context = ours if how == "at once" else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        if how == "later":
            writer.write(b"plain")
            assert await reader.readexactly(5) == b"plain"
            await writer.start_tls(ours)
        writer.write(b"secret")
        assert await reader.readexactly(6) == b"secret"
        assert writer.get_extra_info("ssl_object") is not None
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return port

    found = sums(external, run(work()))
    count = 6 if how == "at once" else 11
    assert (found["connections"], found["sent"], found["received"]) == (1, count, count)


def test_a_socket_that_was_connected_by_hand_and_one_at_a_path_are_followed(external: External, tmp_path: Path) -> None:
    import socket

    async def by_hand(port: int) -> None:
        loop = asyncio.get_running_loop()
        own = socket.socket()
        own.setblocking(False)
        await loop.sock_connect(own, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=own)
        writer.write(b"hand")
        assert await reader.readexactly(4) == b"hand"
        writer.close()
        await writer.wait_closed()

    async def at_path(path: str) -> None:
        async def serve(reader: Any, writer: Any) -> None:
            writer.write(await reader.read(100))
            writer.close()

        server = await asyncio.start_unix_server(serve, path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"path")
        assert await reader.read() == b"path"
        writer.close()
        server.close()
        await server.wait_closed()

    with echo() as port:
        run(by_hand(port))
    run(at_path(str(tmp_path / "s")))
    one, other = sums(external, port), figures(external)[f"unix:{tmp_path}/s", ""]
    for found in (one, other):
        assert (found["connections"], found["operations"], found["sent"], found["received"]) == (1, 1, 4, 4)


def test_what_a_server_of_this_process_answers_is_no_external_call(external: External) -> None:
    served = threading.Event()

    async def serve(reader: Any, writer: Any) -> None:
        writer.write(await reader.read(100))
        writer.close()
        served.set()

    async def work() -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.read() == b"x"
        writer.close()
        server.close()
        await server.wait_closed()
        return port

    port = run(work())
    assert served.is_set()
    assert {name for name, _ in figures(external)} == {f"127.0.0.1:{port}"}
    assert (sums(external, port)["sent"], sums(external, port)["received"]) == (1, 1)


def test_the_loop_is_as_it_was_after_the_watch_and_open_connections_go_on() -> None:
    before = dict(vars(uvloop.Loop))
    external = External(lambda function: True, ())
    external.install()
    assert dict(vars(uvloop.Loop)) != before

    async def work(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        external.remove()
        writer.write(b"still")
        assert await reader.readexactly(5) == b"still"
        writer.close()
        await writer.wait_closed()

    with echo() as port:
        run(work(port))
    assert dict(vars(uvloop.Loop)) == before


def test_a_failure_of_the_watch_does_not_reach_the_call() -> None:
    broken: Callable[[str], bool] = lambda function: 1 / 0 > 0  # noqa: E731
    external = External(broken, ())
    external.install()
    try:
        external._talking.open = None  # type: ignore[assignment, method-assign]
        before = sum(one["count"] for one in guard.to_json())
        with echo() as port:
            assert run(talk(port, b"fine")) == b"fine"
        assert sum(one["count"] for one in guard.to_json()) > before
    finally:
        external.remove()
