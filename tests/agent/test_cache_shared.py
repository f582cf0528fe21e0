"""Processes share what they keep, through a real collector that can neither read whose it is nor forge it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import socket
import threading
import time

import pytest
from module_under_test import application, counted, hijack
from mystic_agent.cache.sealed import Seal
from mystic_agent.cache.shared import Shared
from mystic_agent.link import Endpoint
from mystic_agent.link.shelf import CollectorShelf

from tests.collector.conftest import running

SECRET = "a secret of at least sixteen characters"
PATIENCE = 20.0
SOURCE = """
    import dataclasses
    runs = []

    @dataclasses.dataclass
    class Money:
        amount: int

    def price(item, n=1):
        runs.append(item); return {"item": item, "total": (n, 2.5)}
    async def slowly(item):
        runs.append(item); return [item]
    def rich(item):
        runs.append(item); return Money(len(item))
    def locked(item):
        import threading
        runs.append(item); return {"lock": threading.Lock()}
    def large(item):
        runs.append(item); return "x" * 2_000_000
    def by_function(function):
        runs.append(function); return 1
    def failing(item):
        runs.append(item); raise ValueError(item)
"""


def until(found, what):
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.005)
    return value


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    with running(tmp_path_factory.mktemp("shared")) as found:
        yield found


class Process:
    """Plays one process of the application: its own module, memory and shelf; modules of one name and code."""

    def __init__(self, module, attachments, shelf):
        self.module = module
        self.attachments = attachments
        self.shelf = shelf

    def cache(self, function, **options):
        name = f"{self.module.__name__}:{function}"
        self.attachments.apply([hijack(name, {"cache": {"ttl": "1h", "scope": "shared", **options}})])
        return self.attachments.reports()[name]

    def decisions(self, function):
        return counted(self.attachments.by_name[f"{self.module.__name__}:{function}"])

    def forget(self):
        """Lose what is in memory, as another process would not have it."""
        for attached in self.attachments.by_name.values():
            for state in attached.keep.values():
                getattr(state, "clear", lambda: None)()


@contextlib.contextmanager
def process(folder, port, secret=SECRET, place="shop production", patience=5.0):
    shelf = CollectorShelf(Endpoint("127.0.0.1", port).collector(), patience)
    try:
        with application(folder, SOURCE) as (module, attachments):
            attachments.shared = Shared(shelf, Seal(secret, place)) if secret else None
            yield Process(module, attachments, shelf)
    finally:
        shelf.stop(PATIENCE)


@pytest.fixture
def app(tmp_path, collector):
    with process(tmp_path, collector.server.address[1]) as made:
        yield made


def entries(collector, app):
    """Return the keys under which the collector keeps what this application has shared."""
    return [row for row in collector.parts.cache._cache.iterkeys() if app.module.__name__ in row]


def kept(collector, app):
    return until(lambda: entries(collector, app), "the entry at the collector")


def test_a_result_that_one_process_computed_is_served_in_another(app, collector):
    assert app.cache("price").state == "attached"
    first = app.module.price("tea", 3)
    kept(collector, app)
    app.forget()
    second = app.module.price(n=3, item="tea")
    assert second == first == {"item": "tea", "total": (3, 2.5)}
    assert type(second["total"]) is tuple
    assert app.module.runs == ["tea"]
    assert app.module.price("tea", 3) == first
    assert app.decisions("price") == {"miss": 1, "shared hit": 1, "hit": 1}


def test_what_a_released_hijack_shared_is_not_served_under_the_next_one(app, collector):
    app.cache("price")
    first = app.module.price("mug", 3)
    kept(collector, app)
    app.attachments.apply([])
    name = f"{app.module.__name__}:price"
    app.attachments.apply([hijack(name, {"cache": {"ttl": "1h", "scope": "shared"}}, identity="another")])
    assert app.module.price("mug", 3) == first
    assert app.module.runs == ["mug", "mug"]
    assert app.decisions("price") == {"miss": 2}


def test_a_coroutine_waits_for_the_collector_without_holding_up_its_loop(app, collector):
    app.cache("slowly")
    assert asyncio.run(app.module.slowly("tea")) == ["tea"]
    kept(collector, app)
    app.forget()

    async def ask():
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        results = await asyncio.gather(*(app.module.slowly("tea") for _ in range(50)))
        beating.cancel()
        return results, beats

    results, beats = asyncio.run(ask())
    assert results == [["tea"]] * 50
    assert beats > 1
    assert app.module.runs == ["tea"]
    assert app.decisions("slowly") == {"miss": 1, "shared hit": 1, "joined": 49}


def test_a_value_of_the_applications_own_type_travels_signed(app, collector):
    app.cache("rich")
    app.module.rich("tea")
    kept(collector, app)
    app.forget()
    assert app.module.rich("tea") == app.module.Money(3)
    assert app.module.runs == ["tea"]


@pytest.mark.parametrize(
    ("function", "argument", "reason"),
    [
        ("locked", "a", "kept_out result of type lock, which one caller uses up"),
        ("large", "a", "kept_out shared scope: result of more than 1 MiB"),
        ("by_function", len, "kept_out shared scope: a class or function in the key that other processes may not have"),
    ],
)
def test_what_cannot_be_shared_stays_in_the_process_and_is_counted(app, function, argument, reason):
    app.cache(function)
    getattr(app.module, function)(argument)
    assert app.decisions(function)[reason] == 1
    assert app.decisions(function)["miss"] == 1


def test_exceptions_are_not_shared(app, collector):
    app.cache("failing", exceptions=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            app.module.failing("a")
    assert app.module.runs == ["a"]
    assert entries(collector, app) == []


def test_without_the_key_the_shared_scope_is_refused_with_what_to_do(tmp_path, collector):
    with process(tmp_path, collector.server.address[1], secret="") as app:
        report = app.cache("price")
        assert report.state == "failed"
        assert "MYSTIC_CACHE_KEY" in report.reason


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a planted pickle was run",))


def tampered(sealed):
    head, body = sealed[:13], sealed[45:]
    yield "unsigned pickle", pickle.dumps(Bomb())
    yield "own head and pickle", b"myc1" + head[4:12] + b"p" + bytes(32) + pickle.dumps(Bomb())
    yield "one bit of the value", sealed[:-1] + bytes([sealed[-1] ^ 1])
    yield "another form", sealed[:12] + b"p" + sealed[13:]
    yield "longer life", sealed[:4] + b"\x41\xf0" + sealed[6:]
    yield "cut", sealed[:40]
    yield "empty body", sealed[:45]
    yield "signed by another", Seal("quite another secret", "shop production").close("k", [1], time.time() + 99)
    assert body


def test_what_is_planted_or_tampered_with_is_never_run_and_counted(app, collector):
    app.cache("price")
    right = app.module.price("gold")
    rows = collector.parts.cache._cache
    [name] = kept(collector, app)
    for count, (what, planted) in enumerate(tampered(rows.get(name)), 1):
        rows.set(name, planted)
        app.forget()
        app.module.runs.clear()
        assert app.module.price("gold") == right, what
        assert app.module.runs == ["gold"], what
        assert app.decisions("price")["kept_out shared scope: entry not signed by us"] == count, what
        until(lambda: rows.get(name) != planted, "the entry's replacement")
    assert count == 8


def test_an_entry_moved_to_another_key_is_not_believed(app, collector):
    app.cache("price")
    app.module.price("lead")
    kept(collector, app)
    rows = collector.parts.cache._cache
    [lead] = entries(collector, app)
    sealed = rows.get(lead)
    app.module.price("gold")
    [gold] = until(lambda: [row for row in entries(collector, app) if row != lead], "the other entry")
    rows.set(gold, sealed)
    app.forget()
    assert app.module.price("gold")["item"] == "gold"


def test_an_expired_entry_is_not_served_whoever_keeps_it(app, collector):
    app.cache("price", ttl="250ms")
    app.module.price("tea")
    kept(collector, app)
    [name] = entries(collector, app)
    sealed = collector.parts.cache._cache.get(name)
    opened = Seal(SECRET, "shop production").open(name.rpartition("\x00")[2], sealed)
    until(lambda: time.time() > opened.expires, "the end of the entry")
    collector.parts.cache._cache.set(name, sealed)
    app.forget()
    app.module.price("tea")
    assert app.module.runs == ["tea", "tea"]


def test_a_dead_collector_costs_one_refused_connection_and_then_nothing(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with process(tmp_path, closed.getsockname()[1]) as app:
            app.cache("price")
            assert app.module.price("tea")["item"] == "tea"
            until(lambda: not app.shelf.reachable, "the breaker")
            for n in range(100):
                app.module.price(str(n))
            assert app.decisions("price") == {"miss": 101}
            assert app.shelf.dropped >= 1


def test_a_collector_that_never_answers_is_given_up_after_three_calls(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with process(tmp_path, silent.getsockname()[1], patience=0.02) as app:
            app.cache("price")
            for n in range(4):
                app.module.price(str(n))
            assert not app.shelf.reachable
            assert app.module.runs == ["0", "1", "2", "3"]


def answer(connection, reply):
    """Play a server that says the same to whatever is asked, until nobody asks any more."""
    with connection:
        while connection.recv(65536):
            connection.sendall(reply)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
HOSTILE = {
    "no HTTP": b"hello\r\n\r\n",
    "a refusal": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "a cut frame": OK % (5, b"\x00\x00\x00\x09a"),
    "more frames than asked for": OK % (12, bytes(12)),
    "a giant": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + bytes(5 * 2**20),
    "a pickle": OK
    % (4 + len(pickle.dumps(Bomb())), len(pickle.dumps(Bomb())).to_bytes(4, "big") + pickle.dumps(Bomb())),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_collector_changes_no_result(tmp_path, what):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with contextlib.suppress(OSError):
                        answer(connection, HOSTILE[what])

        thread = threading.Thread(target=serve)
        thread.start()
        with process(tmp_path, server.getsockname()[1]) as app:
            app.cache("price")
            for n in range(3):
                assert app.module.price(str(n)) == {"item": str(n), "total": (1, 2.5)}
            assert app.module.runs == ["0", "1", "2"]
            assert app.decisions("price")["miss"] == 3
            if what == "a pickle":
                assert app.decisions("price")["kept_out shared scope: entry not signed by us"] >= 1
            else:
                until(lambda: not app.shelf.reachable, "the breaker")
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_what_waits_is_handed_over_at_the_end(tmp_path, collector):
    with process(tmp_path, collector.server.address[1]) as app:
        app.cache("price")
        for n in range(50):
            app.module.price(f"last {n}")
    assert len(entries(collector, app)) == 50


def test_a_collector_that_comes_back_is_found_by_itself(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with process(tmp_path, port) as app:
        app.cache("price")
        app.module.price("a")
        until(lambda: not app.shelf.reachable, "the breaker")
        with running(tmp_path, port=port) as collector:
            until(lambda: app.shelf.reachable, "the collector's return")
            app.module.price("b")
            kept(collector, app)
            app.forget()
            app.module.price("b")
        assert app.module.runs == ["a", "b"]
        assert app.decisions("price")["shared hit"] == 1


def test_a_thousand_concurrent_misses_ask_and_compute_once(app, collector):
    app.cache("price")
    barrier, results = threading.Barrier(50), []

    def ask():
        barrier.wait(PATIENCE)
        results.extend(app.module.price("tea")["item"] for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == ["tea"] * 1000
    assert app.module.runs == ["tea"]


def test_a_forked_child_has_a_connection_of_its_own(app, collector):
    app.cache("price")
    app.module.price("tea")
    kept(collector, app)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            app.shelf.reset()
            app.attachments.reset()
            app.forget()
            app.module.runs.clear()
            app.module.price("tea")
            os.write(writing, repr((app.module.runs, app.decisions("price"))).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        assert said.read() == "([], {'shared hit': 1})"
    app.forget()
    assert app.module.price("tea")["item"] == "tea"
    assert app.module.runs == ["tea"]
