"""The embedded store: one SQLite file in WAL mode, one writing connection, a few reading ones."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mystic_collector.store import buckets, externals, lives, logs, queries, retention, segments
from mystic_collector.store.external_records import ExternalRow
from mystic_collector.store.figures import WIDTH, Figures
from mystic_collector.store.life_records import Life, LifeQuery
from mystic_collector.store.log_records import LogPage, LogQuery
from mystic_collector.store.names import Names
from mystic_collector.store.protocol import StoreError
from mystic_collector.store.records import FunctionTotals, Incoming, Interval, Recent, Sizes, SpanQuery, StoredSpan
from mystic_collector.store.schema import prepare

_KEEP_POINT = (
    "insert into points(received, instance, time, metric, shape, unit, attributes, value, detail)"
    " values(?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEEP_FACT = (
    "insert into facts(instance, metric, kind, time, value) values(?, ?, ?, ?, ?)"
    " on conflict do update set time = excluded.time, value = excluded.value where excluded.time >= time"
)
_SEEN = "update instances set last_seen = ? where id = ?"
_MOST_READERS = 4
_MOST_KEPT = 10_000
"""Functions whose totals are kept until the next write, for the several parts of a page that ask for them."""
_PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
}
"""What is wrong with the machine and not with the file, by https://www.sqlite.org/rescode.html."""


class SqliteStore:
    """A :class:`mystic_collector.store.protocol.Store` in one file.

    Args:
        path: the file; its folder is created.
        max_age: seconds that spans, points, history and dead processes are kept.
        max_bytes: bytes in use above which the oldest spans and points go.
        max_functions: distinct function names kept.
        clock: Unix seconds.

    Raises:
        StoreError: when the file cannot be opened, is damaged, or was written by a newer version.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_age: float = 7 * 86400.0,
        max_bytes: int = 2**30,
        max_functions: int = 50_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._clock = clock
        self._limits = retention.Limits(max_age, max_bytes)
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        self._version = 0  # of what functions cost
        self._totals: tuple[int, list[FunctionTotals]] = (-1, [])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writing = self._connect()
            self._writing.execute("pragma journal_mode = wal")
            self._writing.execute("pragma wal_autocheckpoint = 4000")
            self._writing.execute("pragma journal_size_limit = 67108864")
            prepare(self._writing)
            self._names = Names(self._writing, max_functions)
        except (OSError, ValueError, sqlite3.Error) as error:
            raise StoreError(f"cannot open {str(path)!r}: {error}; move it away or choose MYSTIC_DATA_DIR") from error
        self._figures = Figures(self._writing, self._names)

    def write(self, batch: Sequence[Incoming]) -> None:
        """Keep everything in ``batch`` in one transaction."""
        now = self._clock()
        with self._transaction():
            seen = {self._write_one(incoming, now) for incoming in batch}
            self._writing.executemany(_SEEN, [(int(now), number) for number in seen])
            self._figures.finish(int(now))
        if any(incoming.functions or incoming.counts for incoming in batch):
            self._version += 1  # afterwards, so that nobody keeps what was there before under it

    def _write_one(self, incoming: Incoming, now: float) -> int:
        number, folded = self._names.instance(incoming.resource, int(now))
        at = int(now)
        execute = self._writing.executemany
        if incoming.spans:
            segments.keep(self._writing, self._names, number, incoming.spans, at)
        if incoming.logs:
            logs.keep(self._writing, self._names, number, incoming.logs, at)
        if incoming.points:
            execute(_KEEP_POINT, [(at, number, *point) for point in incoming.points])
        if incoming.facts:
            execute(_KEEP_FACT, [(number, *_fact_key(fact), fact.time_ns, fact.value) for fact in incoming.facts])
        if not folded:  # its figures are already part of the past; counting them again would double them
            service = incoming.resource.service
            self._figures.durations(number, service, incoming.functions, int(now * 1e9))
            self._figures.counts(number, service, incoming.counts, int(now * 1e9))
            lives.keep(self._writing, self._names, number, incoming.marks)
            externals.keep(self._writing, self._names, number, incoming.externals, int(now * 1e9))
        return number

    def functions(self, service: str = "", function: str = "") -> list[FunctionTotals]:
        """Return totals over all processes."""
        asked = self._version  # before reading: what is kept is never older than it says
        version, known = self._totals
        if version == asked and not (service or function):
            return list(known)
        with self._reading() as connection:
            found = queries.functions(connection, service, function)
        if not (service or function) and len(found) <= _MOST_KEPT:
            self._totals = asked, found
        return list(found)

    def history(self, function: str, service: str = "", since: float = 0.0) -> list[Interval]:
        """Return what happened per interval."""
        with self._reading() as connection:
            return queries.history(connection, function, service, since)

    def lives(self, query: LifeQuery) -> list[Life]:
        """Return functions process by process."""
        with self._reading() as connection:
            return lives.find(connection, query, retention.PAST)

    def externals(self, service: str = "", since: float = 0.0) -> list[ExternalRow]:
        """Return what functions did outside of their processes."""
        with self._reading() as connection:
            return externals.find(connection, service, int(since * 1e9))

    def recent(self, since: float, service: str = "") -> list[Recent]:
        """Return what functions did lately."""
        with self._reading() as connection:
            return queries.recent(connection, since, service)

    def rates(self, since: float, service: str = "") -> list[Interval]:
        """Return what all functions did per interval."""
        with self._reading() as connection:
            return queries.rates(connection, since, service, (WIDTH, retention.WIDE))

    def traces(self, query: SpanQuery) -> list[list[StoredSpan]]:
        """Return the newest matching traces."""
        with self._reading() as connection:
            return segments.traces(connection, segments.matching_traces(connection, query), query.brief)

    def failures(self, query: SpanQuery) -> list[StoredSpan]:
        """Return matching spans that ended in an error."""
        with self._reading() as connection:
            return segments.failures(connection, query)

    def trace(self, trace_id: bytes) -> list[StoredSpan]:
        """Return one trace."""
        with self._reading() as connection:
            return segments.traces(connection, [trace_id])[0]

    def facts(self) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
        """Return what agents last said about themselves."""
        with self._reading() as connection:
            return queries.facts(connection)

    def points(self, metric: str = "", service: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest points of other metrics."""
        with self._reading() as connection:
            return queries.points(connection, metric, service, limit)

    def logs(self, query: LogQuery) -> LogPage:
        """Return one page of log records."""
        with self._reading() as connection:
            return logs.find(connection, query)

    def sizes(self) -> Sizes:
        """Return how full it is."""
        with self._reading() as connection:
            return queries.sizes(connection)

    def retain(self, now: float) -> int:
        """Remove what is too old or too much, in short transactions."""
        removed = 0
        for step in retention.STEPS:
            with self._transaction():
                gone = step(self._writing, self._limits, now)
            self._version += bool(gone)
            if gone and step is retention.fold_the_dead:
                self._names.forget()
                self._figures.forget()
            removed += gone
        return removed

    def close(self) -> None:
        """Close every connection."""
        with self._readers_lock:
            self._closed = True
            readers, self._readers = self._readers, []
        for connection in readers:
            connection.close()
        self._writing.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10.0, isolation_level=None, check_same_thread=False)
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma cache_size = -32768")
        buckets.register(connection)
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._writing.execute("begin immediate")
            yield
            self._writing.execute("commit")
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            self._undo()
            message = f"{str(self._path)!r} could not be written: {error}; check disk space and rights"
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what it says more precisely
            raise StoreError(message, passing=code in _PASSING) from error

    def _undo(self) -> None:
        try:
            if self._writing.in_transaction:
                self._writing.execute("rollback")
            self._names.forget()
            self._figures.forget()
        except sqlite3.Error:
            return  # the next write meets the same fault and reports it

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._readers_lock:
                if self._closed:
                    raise StoreError("the store is closed")
                connection = self._readers.pop() if self._readers else None
            connection = connection or self._connect()
            connection.execute("begin")
            try:
                yield connection
            finally:
                connection.execute("rollback")
                with self._readers_lock:
                    keep = not self._closed and len(self._readers) < _MOST_READERS
                    if keep:
                        self._readers.append(connection)
                if not keep:
                    connection.close()
        except sqlite3.Error as error:
            raise StoreError(f"{str(self._path)!r} could not be read: {error}; check the file") from error


def _fact_key(fact: Any) -> tuple[str, str]:
    return fact.metric, fact.kind
