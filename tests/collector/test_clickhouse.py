"""What several collectors on one ClickHouse owe, beyond what every store does."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from mystic_agent.contract import wire
from mystic_agent.contract.errors import Invalid
from mystic_collector.engine import Engine, read_engine
from mystic_collector.ingest.writer import Writer
from mystic_collector.injection.certificate import certificate
from mystic_collector.store.clickhouse.connection import Block, encoded
from mystic_collector.store.clickhouse.schema import SCHEMA, VERSION
from mystic_collector.store.clickhouse.store import ClickHouseStore
from mystic_collector.store.log_records import LogQuery, LogRow
from mystic_collector.store.protocol import StoreError
from mystic_collector.store.records import Fact, Incoming, Point

from .clickhouse import database, front_or_skip
from .conftest import NOW, PATIENCE, Clock, Running, running
from .messages import duration, metrics, span
from .test_commands import PROGRAM
from .test_store import errors, hits, process, spans_of, timed

SECRET = "a-password-that-nobody-may-see"


@pytest.fixture
def place(clickhouse: Engine) -> Iterator[Engine]:
    with database(clickhouse) as found:
        yield found


@pytest.fixture
def pair(place: Engine, clock: Clock) -> Iterator[tuple[ClickHouseStore, ClickHouseStore]]:
    """The stores of two collectors."""
    one, other = ClickHouseStore(place, clock=clock), ClickHouseStore(place, clock=clock)
    yield one, other
    one.close()
    other.close()


def sums(store: ClickHouseStore, function: str = "m:f") -> tuple[int, int, int, int, int, int]:
    """Return calls, errors and nanoseconds by the totals, and the same by the history."""
    [total] = store.functions(function=function)
    past = store.history(function)
    assert sum(sum(one.buckets[1]) for one in past) == sum(one.calls for one in past)
    by_time = (sum(one.calls for one in past), sum(one.errors for one in past), sum(one.total_ns for one in past))
    return (total.calls, total.errors, total.total_ns, *by_time)


def test_what_one_collector_has_written_every_other_shows(pair: tuple[ClickHouseStore, ClickHouseStore]) -> None:
    one, other = pair
    seen = span("m:f")
    one.write([Incoming(process("a"), functions=[timed("m:f", 3)], counts=[hits("m:f", 2)]), *spans_of(seen)])
    other.write([Incoming(process("b"), functions=[timed("m:f", 4)])])
    for store in pair:
        [found] = store.functions()
        assert (found.calls, found.instances, found.decisions) == (7, 2, {("cache", "hit", ""): 2})
        assert [one.span.span_id for one in store.trace(seen.trace_id)] == [seen.span_id]
        assert [one.calls for one in store.recent(NOW - 60)] == [7]


def test_a_process_that_goes_from_collector_to_collector_and_back_is_counted_once(
    pair: tuple[ClickHouseStore, ClickHouseStore], clock: Clock
) -> None:
    one, other = pair
    for at, (store, calls) in enumerate([(one, 10), (other, 14), (other, 30), (one, 31), (other, 40), (one, 40)]):
        store.write([Incoming(process("a"), functions=[timed("m:f", calls)], counts=[errors("m:f", calls // 2)])])
        assert sums(one)[:2] == (calls, calls // 2) == sums(other)[3:5], f"after report {at}"
        clock.now += 10
    assert [interval.calls for interval in one.history("m:f")] == [10, 4, 16, 1, 9]


def test_reports_of_one_process_in_any_order_at_any_collector_give_the_same_sums(
    pair: tuple[ClickHouseStore, ClickHouseStore], clock: Clock
) -> None:
    lots = random.Random(11)
    reports = [*range(1, 40), *lots.sample(range(1, 40), 12)]
    lots.shuffle(reports)
    for calls in reports:
        points = [timed("m:f", calls, time=calls)]
        lots.choice(pair).write([Incoming(process("a"), functions=points, counts=[errors("m:f", calls // 3)])])
        clock.now += lots.choice((0, 1, 10))
    calls, failed, lasted, calls_by_time, failed_by_time, _ = sums(pair[0])
    assert (calls, failed, lasted) == (39, 13, 39_000)
    assert (calls_by_time, failed_by_time) == (39, 13)


def test_many_collectors_may_open_an_empty_database_at_once(place: Engine) -> None:
    opened: list[ClickHouseStore] = []
    threads = [threading.Thread(target=lambda: opened.append(ClickHouseStore(place))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(opened) == 4
    opened[0].write([Incoming(process("a"), functions=[timed("m:f", 3)])])
    assert sums(opened[3])[0] == 3
    for store in opened:
        store.close()


def everything(service: str, function: str) -> list[Incoming]:
    """What has a row in every table that is written to."""
    log = LogRow(5, "mystic.log", function, 9, b"t" * 16, b"s" * 8, "text", "{}")
    return [
        Incoming(
            process("a", service),
            functions=[timed(function, 3)],
            counts=[errors(function, 1)],
            facts=[Fact("mystic.agent.overhead", "", 5, 0.5)],
            points=[Point(5, "queue", "gauge", "1", "{}", 1.0, "{}")],
            logs=[log],
        ),
        *spans_of(span(function), span(function), service=service),
    ]


class Breaking:
    """Makes a store's connection fail once, at the insert of a number: not sent, or sent and never answered."""

    def __init__(self, store: ClickHouseStore, number: int, sent: bool) -> None:
        self._real, self._number, self._sent = store._connected.send, number, sent
        self._count = 0
        store._connected.send = self.send  # type: ignore[method-assign]

    def send(self, block: Block) -> None:
        breaks = self._count == self._number
        self._count += 1
        if self._sent or not breaks:
            self._real(block)
        if breaks:
            raise StoreError("the connection broke", passing=True)


@pytest.mark.parametrize("sent", [False, True], ids=["not sent", "answer lost"])
def test_a_write_that_breaks_off_anywhere_is_finished_by_the_next_and_counts_once(place: Engine, sent: bool) -> None:
    store = ClickHouseStore(place)
    healthy = store._connected.send
    for number in range(9):  # names, processes, growth, durations, counts, facts, segments, logs, points
        service, function = f"s{number}", f"m:f{number}"
        before, batch = store.sizes(), everything(service, function)
        Breaking(store, number, sent)
        with pytest.raises(StoreError, match="broke"):
            store.write(batch)
        store._connected.send = healthy  # type: ignore[method-assign]
        store.write([*batch, Incoming(process("b", service), functions=[timed(function, 4)])])
        sizes = store.sizes()
        grown = (sizes.spans - before.spans, sizes.points - before.points, sizes.logs - before.logs)
        assert grown == (2, 1, 1), f"broken at insert {number}"
        assert sums(store, function) == (7, 1, 7000, 7, 1, 7000), f"broken at insert {number}"
        assert len(store.logs(LogQuery(function=function)).records) == 1
    Breaking(store, 9, sent)
    store.write(everything("s9", "m:f9"))  # there is no tenth
    store.close()


def test_what_was_broken_off_is_not_taken_up_by_another_write(place: Engine) -> None:
    store = ClickHouseStore(place)
    healthy = store._connected.send
    Breaking(store, 0, sent=False)
    with pytest.raises(StoreError, match="broke"):
        store.write(everything("shop", "m:f"))
    store._connected.send = healthy  # type: ignore[method-assign]
    store.write([Incoming(process("b"), functions=[timed("m:g", 4)])])
    assert [(one.function, one.calls) for one in store.functions()] == [("m:g", 4)]
    assert store.sizes().spans == 0
    store.close()


def test_tables_of_a_newer_collector_are_left_alone(place: Engine) -> None:
    store = ClickHouseStore(place)
    store._connected.send(encoded(SCHEMA, [(VERSION + 1,)]))
    store.close()
    with pytest.raises(StoreError, match="use a newer collector"):
        ClickHouseStore(place)


class Taken:
    """What a writer has written, write by write."""

    def __init__(self) -> None:
        self.writes: list[int] = []
        self.first = threading.Event()

    def write(self, batch: Sequence[Incoming]) -> None:
        self.writes.append(len(batch))
        self.first.set()

    def retain(self, now: float) -> int:
        return 0


def test_a_writer_for_an_engine_writes_seldom_and_much_and_ends_at_once() -> None:
    store = Taken()
    writer = Writer(store, 2**20, every=1000 * PATIENCE)  # type: ignore[arg-type]  # of a store, what a writer calls
    writer.start()
    one = Incoming(process("a"), functions=[timed("m:f", 3)])
    writer.offer([one])
    assert store.first.wait(PATIENCE)
    for _ in range(5):
        writer.offer([one])
    assert writer.stop(PATIENCE)
    assert store.writes == [1, 5]


def send(collector: Running, instance: str, calls: int) -> int:
    return collector.otlp(wire.METRICS_PATH, metrics(duration("app:f", {10: calls}), instance=instance)).status_code


def test_while_the_engine_is_away_what_is_sent_waits_and_too_much_is_answered_with_429(tmp_path: Path) -> None:
    front = front_or_skip(tmp_path / "engine")
    front.start()
    engine = Engine("127.0.0.1", front.port, "mystic", password=SECRET)
    try:
        with running(tmp_path, store=engine, max_queue_bytes=20_000, own_traces=False) as collector:
            assert send(collector, "a", 5) == 200
            collector.settle()
            front.stop()
            sent = 0
            while (status := send(collector, f"b{sent}", 7)) == 200:
                sent += 1
            assert (status, sent > 10) == (429, True)
            refused = collector.client.get("/api/metrics")
            assert refused.status_code == 503
            assert SECRET not in refused.text
            assert collector.client.get("/health").status_code == 200
            [found] = [one for one in collector.get("/api/doctor")["findings"] if one["about"] == "store"]
            assert found["verdict"] == "fail"
            assert "check that the server runs" in found["detail"]
            assert SECRET not in found["detail"]
            front.start()
            collector.settle()
            assert collector.get("/api/metrics")["functions"][0]["call_count"] == 5 + 7 * sent
            assert collector.parts.writer.counts().lost == 0
    finally:
        front.stop()


class Nonsense(BaseHTTPRequestHandler):
    """Somebody else on the engine's port, who answers everything alike."""

    said = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.said) + 10))  # and breaks off
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *args: object) -> None:
        pass


def test_answers_that_no_engine_gives_are_a_store_that_fails_for_now(tmp_path: Path) -> None:
    front = front_or_skip(tmp_path / "engine")
    front.start()
    batch = [Incoming(process("a"), functions=[timed("m:f", 3)])]
    try:
        store = ClickHouseStore(Engine("127.0.0.1", front.port, "mystic"))
        front.stop()
        for said in (b"", b"<html>try again</html>", b"\x01\x02", b"\x03\x01\x05names" * 9, b"\xff" * 300):
            answering = type("Answering", (Nonsense,), {"said": said})
            with HTTPServer(("127.0.0.1", front.port), answering) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                for ask in (lambda: store.write(batch), store.functions, store.facts, store.sizes):
                    with pytest.raises(StoreError) as failed:
                        ask()
                    assert failed.value.passing, said
                server.shutdown()
                thread.join(PATIENCE)
        front.start()
        store.write(batch)
        assert sums(store)[0] == 3
        store.close()
    finally:
        front.stop()


def test_over_tls_only_an_engine_that_is_trusted_is_used(tmp_path: Path) -> None:
    front = front_or_skip(tmp_path / "engine")
    made = certificate(["localhost"])
    front.certificate = tmp_path / "engine.pem"
    front.certificate.write_bytes(made.secret + made.pem)
    (tmp_path / "trusted.pem").write_bytes(made.pem)
    front.start()
    try:
        env = {"MYSTIC_STORE": f"clickhouses://localhost:{front.port}/mystic"}
        unknown, known = read_engine(env), read_engine({**env, "MYSTIC_STORE_CA_FILE": str(tmp_path / "trusted.pem")})
        assert unknown is not None
        assert known is not None
        with pytest.raises(StoreError, match="cannot be used"):
            ClickHouseStore(unknown)
        store = ClickHouseStore(known)
        store.write([Incoming(process("a"), functions=[timed("m:f", 3)])])
        assert sums(store)[0] == 3
        store.close()
    finally:
        front.stop()


def test_a_collector_without_the_library_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['clickhouse_connect'] = None; from mystic_agent.cli import main; sys.exit(main())"
    )
    environ = {"PROJECT_ROOT": str(tmp_path), "MYSTIC_STORE": "clickhouse://127.0.0.1:1/mystic"}
    ended = subprocess.run(
        [sys.executable, "-c", program, "serve", "--port", "0"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 1
    assert "pip install 'gnosis-mystic[clickhouse]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_collector_that_does_not_reach_its_engine_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET)
    environ = {
        "PROJECT_ROOT": str(tmp_path),
        "MYSTIC_STORE": "clickhouse://someone@127.0.0.1:1/mystic",
        "MYSTIC_STORE_PASSWORD_FILE": str(tmp_path / "password"),
    }
    ended = subprocess.run(
        [*PROGRAM, "serve", "--port", "0"], env=environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 1
    assert "the store 'clickhouse://someone@127.0.0.1:1/mystic' cannot be used" in ended.stderr
    assert "check MYSTIC_STORE, the password, and that the server runs" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr + ended.stdout


def test_the_address_says_where_and_as_whom(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    env = {"MYSTIC_STORE_PASSWORD_FILE": str(tmp_path / "password")}
    found = read_engine({**env, "MYSTIC_STORE": "clickhouse://ada@db.example:9123/figures"})
    assert found == Engine("db.example", 9123, "figures", "ada", SECRET)
    assert str(found) == "clickhouse://ada@db.example:9123/figures"
    assert SECRET not in repr(found)
    assert read_engine({"MYSTIC_STORE": "clickhouses://db.example"}) == Engine(
        "db.example", 8443, "mystic", "default", secure=True
    )
    assert read_engine({"MYSTIC_STORE": "clickhouse://[::1]/x"}) == Engine("::1", 8123, "x")
    assert read_engine({}) is None


@pytest.mark.parametrize(
    "given",
    [
        "sqlite:///x",
        "clickhouse://",
        "db.example:8123",
        "clickhouse://db.example/a/b",
        "clickhouse://db.example/drop;table",
        "clickhouse://db.example:99999/x",
        f"clickhouse://ada:{SECRET}@db.example/x",
        f"clickhouse://ada:{SECRET}@db.example:x/x",
        "clickhouse://db.example/x?secure=1",
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_engine({"MYSTIC_STORE": given})
    said: Any = refused.value
    assert said.field == "MYSTIC_STORE"
    assert SECRET not in f"{said} {said.shown}"
