"""Sockets and programs are watched from outside the call, bounded, and nothing is left behind."""

from __future__ import annotations

import _socket
import asyncio
import gc
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.external.caller import Caller
from mystic_agent.external.external import External
from mystic_agent.external.ledger import MOST, OTHER, Ledger
from mystic_agent.external.peer import peer, program, protocol
from mystic_agent.guard import guard

PATIENCE = 20.0


@contextmanager
def echo(greeting: bytes = b"") -> Iterator[int]:
    """Serve one client after the other: greet, then give back what comes; the thread is not watched as a client."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.sendall(greeting)
                    while data := client.recv(1000):
                        client.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


@pytest.mark.parametrize("name", ["socket", "ssl"])
def test_a_module_is_watched_once_it_is_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may look while it is being imported: ``socket.socket`` is then the one of C, or nothing yet."""
    whole = sys.modules[name]
    half = type(sys)(name)
    half.__spec__ = ModuleSpec(name, None)
    half.__spec__._initializing = True  # type: ignore[attr-defined]
    vars(half).update(socket=_socket.socket, SSLSocket=type("SSLSocket", (socket.socket,), {}))
    found = External(lambda function: True, ())
    monkeypatch.setitem(sys.modules, name, half)
    found.install()
    try:
        assert "connect" not in vars(socket.socket) or name == "ssl"
        monkeypatch.setitem(sys.modules, name, whole)
        found.install()
        assert hasattr(socket.socket.connect, "__wrapped__")
        assert hasattr(socket.getaddrinfo, "__wrapped__")
        assert hasattr(ssl.SSLSocket.do_handshake, "__wrapped__")
    finally:
        found.remove()
    assert "connect" not in vars(socket.socket)


def figures(external: External) -> dict[tuple[str, str], dict[str, int]]:
    """Return per (peer, protocol) the sums."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for count in external.counts():
        texts = dict(count.attributes)
        key = (str(texts["mystic.external.peer"]), str(texts["network.protocol.name"]))
        one = found.setdefault(key, {})
        name = count.metric.rpartition(".")[2]
        one[name] = one.get(name, 0) + int(count.value)
    return found


def sums(external: External, port: int) -> dict[str, int]:
    [one] = [value for (name, _), value in figures(external).items() if name.endswith(f":{port}")]
    return one


def test_requests_and_bytes_are_exact_whatever_methods_are_used(external: External) -> None:
    with echo() as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"one")
        client.send(b"two")  # the same request: nothing was received in between
        got = client.recv(3) + client.recv(100)
        buffer = bytearray(10)
        client.sendmsg([b"three"])
        size = client.recv_into(buffer)
        reader = client.makefile("rb")
        client.sendall(memoryview(b"last"))
        assert reader.read(4) == b"last"
        reader.close()
        found = sums(external, port)
    assert got == b"onetwo"
    assert size == 5
    assert (found["connections"], found["operations"]) == (1, 3)
    assert (found["sent"], found["received"]) == (15, 15)
    assert found["waited"] > 0
    assert "errors" not in found


def test_a_server_that_speaks_first_and_one_that_refuses_are_noted(external: External) -> None:
    with echo(b"hello") as port, socket.create_connection(("127.0.0.1", port)) as client:
        assert client.recv(10) == b"hello"
        assert (sums(external, port)["received"], sums(external, port)["connections"]) == (5, 1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    assert sums(external, port)["errors"] == 1


def test_what_a_server_of_this_process_answers_is_no_external_call(external: External) -> None:
    with echo() as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"x")
        client.recv(1)
        left, right = socket.socketpair()
        with left, right:
            left.sendall(b"inside")
            right.recv(10)
        assert {name for name, _ in figures(external)} == {f"127.0.0.1:{port}"}
        assert (sums(external, port)["sent"], sums(external, port)["received"]) == (1, 1)


def test_an_event_loop_waits_from_the_last_bytes_sent_to_the_first_received(external: External) -> None:
    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        got = await reader.read(100)
        writer.close()
        await writer.wait_closed()
        return got

    with echo() as port:
        assert asyncio.run(talk(port)).startswith(b"GET")
        assert figures(external)[f"127.0.0.1:{port}", "http"]["operations"] == 1


def test_programs_are_counted_with_their_bytes_and_without_their_arguments(external: External) -> None:
    secret = "--password=canary"
    done = subprocess.run([sys.executable, "-c", "print(input())", secret], input=b"four", capture_output=True)
    assert done.stdout == b"four\n"
    assert subprocess.check_output("echo canary", shell=True) == b"canary\n"
    assert os.system("true canary") == 0
    with pytest.raises(FileNotFoundError):
        subprocess.Popen(["/nonexistent/canary-program"])
    found = figures(external)
    python = found[os.path.basename(sys.executable), "subprocess"]
    assert (python["operations"], python["sent"], python["received"]) == (1, 4, 5)
    assert found["echo", "subprocess"]["operations"] == found["true", "subprocess"]["operations"] == 1
    assert found["canary-program", "subprocess"]["errors"] == 1
    assert "password" not in str(external.counts())


def test_the_agents_own_threads_pass_by() -> None:
    external = External(lambda function: True, {threading.get_ident()})
    external.install()
    try:
        with echo() as port, socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"x")
            client.recv(1)
        assert figures(external) == {}
    finally:
        external.remove()


def test_everything_is_as_it_was_after_the_watch() -> None:
    def looks() -> list[Any]:
        return [dict(vars(socket.socket)), socket.getaddrinfo, dict(vars(subprocess.Popen)), os.system]

    before = looks()
    external = External(lambda function: True, ())
    for _ in range(2):
        external.install()
        external.install()
        assert looks() != before
        external.remove()
        assert looks() == before
        external.remove()


def test_somebody_elses_replacement_is_left_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    external = External(lambda function: True, ())
    external.install()
    theirs: Callable[..., Any] = lambda *args: None  # noqa: E731
    monkeypatch.setattr(os, "system", theirs)
    external.remove()
    assert os.system is theirs


def test_a_failure_of_the_watch_does_not_reach_the_call() -> None:
    def broken(function: str) -> bool:
        raise RuntimeError("ours")

    class Threads:
        def __contains__(self, one: object) -> bool:
            raise RuntimeError("ours")

    external = External(broken, Threads())  # type: ignore[arg-type]
    external.install()
    try:
        before = sum(one["count"] for one in guard.to_json())
        with echo() as port, socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"fine")
            assert client.recv(10) == b"fine"
        assert sum(one["count"] for one in guard.to_json()) > before
    finally:
        external.remove()


def test_combinations_are_bounded_and_begin_anew_in_a_forked_child() -> None:
    ledger = Ledger()
    for number in range(MOST + 50):
        ledger.cells(Caller("m:f", ""), f"10.0.0.{number}:80", "http")[0] += 1
    counts = ledger.counts()
    assert len(counts) == MOST + 1
    other = next(one for one in counts if ("mystic.external.peer", OTHER) in one.attributes)
    assert other.value == 50
    ledger.reset()
    assert ledger.counts() == []


def test_closed_connections_are_forgotten(external: External) -> None:
    with echo() as port:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"x")
                client.recv(1)
        gc.collect()
    assert external._sockets._talks == {}
    assert sums(external, port)["connections"] == 5


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("10.0.0.1", 80), "10.0.0.1:80"),
        (("10.0.0.9", 80), "db.internal:80"),
        (("::1", 6379, 0, 0), "[::1]:6379"),
        ("/run/redis.sock", "unix:/run/redis.sock"),
        (b"\0abstract", "unix:\\x00abstract"),
        (("a" * 500, 1), None),
        (object(), "(unknown)"),
    ],
)
def test_a_peer_is_named_as_it_was_looked_up_and_bounded(address: Any, shown: str | None) -> None:
    name, _ = peer(address, {"10.0.0.9": "db.internal"})
    assert len(name) <= 200
    assert shown is None or name == shown


@pytest.mark.parametrize(
    ("port", "first", "spoken"),
    [
        (8123, b"GET /a HTTP/1.1\r\n", "http"),
        (443, b"POST /a HTTP/1.1\r\n", "https"),
        (443, b"\x16\x03\x01", "https"),
        (7000, b"\x16\x03\x01", "tls"),
        (7000, b"*3\r\n$3\r\nSET", "redis"),
        (5432, b"\x00\x00\x00\x08", "postgresql"),
        (3306, b"", "mysql"),
        (7000, b"\x00", ""),
    ],
)
def test_the_protocol_is_guessed_from_the_first_bytes_and_the_port(port: int, first: bytes, spoken: str) -> None:
    assert protocol(port, first) == spoken


@pytest.mark.parametrize(
    ("args", "shell", "name"),
    [
        (["/usr/bin/curl", "-u", "user:password"], False, "curl"),
        ("curl -u user:password", True, "curl"),
        ([Path("/opt/x/tool")], False, "tool"),
        ([b"/bin/ls"], False, "ls"),
        ([], False, "(unknown)"),
        (None, False, "(unknown)"),
        ([object()], False, "(unknown)"),
    ],
)
def test_a_program_is_named_without_its_arguments(args: Any, shell: bool, name: str) -> None:
    assert program(args, shell) == name
