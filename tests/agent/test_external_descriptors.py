"""What a C library has an event loop watch for it is seen as a wait of the function that asked."""

from __future__ import annotations

import _socket
import asyncio
import contextlib
import importlib.util
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from mystic_agent.external.descriptors import Descriptors
from mystic_agent.external.external import External
from mystic_agent.guard import guard

from tests.agent.test_external import PATIENCE, figures

DELAY = 0.2
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[Any]], Any]:
    """Run something on an event loop of either kind."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop

    def run(work: Awaitable[Any]) -> Any:
        async def bounded() -> Any:
            return await asyncio.wait_for(work, PATIENCE)

        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(bounded())

    return run


@contextlib.contextmanager
def slow() -> Iterator[int]:
    """Answer one client, a while after it has asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                while client.recv(10):
                    threading.Event().wait(DELAY)
                    client.sendall(b"answer")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(PATIENCE)


async def readable(descriptor: int) -> None:
    """Wait as libraries do that have the loop watch a socket of theirs."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def asked(port: int, times: int) -> None:
    own = _socket.socket()  # as C code does it: Python's own class knows nothing of this one
    try:
        own.connect(("127.0.0.1", port))
        for _ in range(times):
            own.send(b"question")
            await readable(own.fileno())
            assert own.recv(10) == b"answer"
    finally:
        own.close()


def seen(external: External) -> dict[str, dict[str, int]]:
    external.look(1)
    return {peer: cells for (peer, _), cells in figures(external).items()}


@pytest.fixture
def watching(external: External, run: Callable[[Awaitable[Any]], Any]) -> External:
    """Watch, once the kind of event loop is loaded that the test runs on."""
    external.install()
    return external


def test_the_time_until_an_answer_comes_is_booked(watching: External, run) -> None:
    with slow() as port:
        run(asked(port, 2))
    found = seen(watching)[f"127.0.0.1:{port}"]
    assert DELAY < found["waited"] / 1e9 < 2 * DELAY + 5  # the server begins its delays before the loop is asked
    assert set(found) == {"waited"}


def test_what_is_never_taken_back_or_is_no_connection_counts_for_nothing(watching: External, run) -> None:
    ours, theirs = os.pipe()

    async def use(port: int) -> None:
        os.write(theirs, b"x")
        await readable(ours)
        own = _socket.socket()
        own.connect(("127.0.0.1", port))
        asyncio.get_running_loop().add_reader(own.fileno(), lambda: None)
        own.send(b"question")
        await asyncio.sleep(0)
        own.close()

    try:
        with slow() as port:
            run(use(port))
    finally:
        os.close(ours)
        os.close(theirs)
    assert seen(watching) == {}


def test_what_clients_of_a_server_send_is_no_wait_for_something_outside(watching: External, run) -> None:
    async def serve(server: socket.socket, client: _socket.socket) -> None:
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            client.send(b"question")
            await readable(accepted.fileno())

    client = _socket.socket()
    with socket.create_server(("127.0.0.1", 0)) as server:
        run(serve(server, client))
        assert seen(watching) == {}
    client.close()


def test_a_socket_of_pythons_own_is_counted_once(watching: External, run) -> None:
    async def use(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as own:
            own.sendall(b"question")
            await readable(own.fileno())
            own.recv(10)

    with slow() as port:
        run(use(port))
    found = seen(watching)[f"127.0.0.1:{port}"]
    assert found["operations"] == 1
    assert found["waited"] / 1e9 < 2 * DELAY + 5


def test_a_failure_of_the_watch_does_not_reach_the_loop(watching: External, run, monkeypatch) -> None:
    monkeypatch.setattr(Descriptors, "_ends", lambda *_: 1 / 0)
    before = sum(one["count"] for one in guard.to_json())
    with slow() as port:
        run(asked(port, 1))
    assert seen(watching) == {}
    assert sum(one["count"] for one in guard.to_json()) > before


def test_the_loops_are_as_they_were_afterwards(watching: External) -> None:
    from asyncio.selector_events import BaseSelectorEventLoop as Loop

    assert hasattr(Loop.add_reader, "__wrapped__")
    watching.remove()
    assert not hasattr(Loop.add_reader, "__wrapped__")
    assert not hasattr(Loop.remove_reader, "__wrapped__")
