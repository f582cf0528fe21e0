"""The store on ClickHouse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from mystic_collector.engine import Engine
from mystic_collector.store.clickhouse import figures, logs, others, retention, spans
from mystic_collector.store.clickhouse.connection import Block, Connection
from mystic_collector.store.clickhouse.slices import Slices
from mystic_collector.store.clickhouse.writing import Writing
from mystic_collector.store.external_records import ExternalRow
from mystic_collector.store.life_records import Life, LifeQuery
from mystic_collector.store.log_records import LogPage, LogQuery
from mystic_collector.store.protocol import StoreError
from mystic_collector.store.records import FunctionTotals, Incoming, Interval, Recent, Sizes, SpanQuery, StoredSpan
from mystic_collector.store.retention import Limits


class ClickHouseStore:
    """A :class:`mystic_collector.store.protocol.Store` that any number of collectors share.

    An engine knows no transaction over several tables. What cannot be kept is refused before anything is sent; a write
    that the engine breaks off is finished by the next one that begins with the same, and nothing of it counts twice.

    Args:
        engine: where it is.
        max_age: seconds that spans, points, history and dead processes are kept.
        max_bytes: bytes on the engine's disk above which the oldest spans, points and history go.
        max_functions: distinct function names kept; collectors that add names at the same moment may pass it by a few.
        clock: Unix seconds.

    Raises:
        StoreError: when the engine cannot be used.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_age: float = 7 * 86400.0,
        max_bytes: int = 2**30,
        max_functions: int = 50_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._limits = Limits(max_age, max_bytes)
        self._connected = Connection(engine)
        self._writing = Writing(self._connected, Slices(max_age, max_bytes), max_functions, clock)
        self._begun: Sequence[Incoming] = ()
        self._unsent: list[Block] = []
        self._closed = threading.Event()

    def write(self, batch: Sequence[Incoming]) -> None:
        """Keep everything in ``batch``, finishing first what was broken off."""
        connection = self._connection
        if self._unsent:
            repeated = len(batch) >= len(self._begun) and all(map(_same, batch, self._begun))
            if repeated:
                self._send(connection, self._begun, self._unsent)
                batch = batch[len(self._begun) :]
            self._unsent, self._begun = [], ()
        if batch:
            try:
                blocks = self._writing.blocks(batch)
            except StoreError:
                self._writing.forget()
                raise
            self._send(connection, batch, blocks)

    def _send(self, connection: Connection, batch: Sequence[Incoming], blocks: Sequence[Block]) -> None:
        for number, block in enumerate(blocks):
            try:
                connection.send(block)
            except StoreError:
                self._begun, self._unsent = batch, list(blocks[number:])
                self._writing.forget()
                raise

    def functions(self, service: str = "", function: str = "") -> list[FunctionTotals]:
        """Return totals over all processes."""
        return figures.functions(self._connection, service, function)

    def history(self, function: str, service: str = "", since: float = 0.0) -> list[Interval]:
        """Return what happened per interval."""
        return figures.history(self._connection, function, service, since, self._clock())

    def lives(self, query: LifeQuery) -> list[Life]:
        """Return functions process by process."""
        return others.lives(self._connection, query)

    def externals(self, service: str = "", since: float = 0.0) -> list[ExternalRow]:
        """Return what functions did outside of their processes."""
        return others.externals(self._connection, service, int(since * 1e9))

    def recent(self, since: float, service: str = "") -> list[Recent]:
        """Return what functions did lately."""
        return figures.recent(self._connection, since, service, self._clock())

    def rates(self, since: float, service: str = "") -> list[Interval]:
        """Return what all functions did per interval."""
        return figures.rates(self._connection, since, service, self._clock())

    def traces(self, query: SpanQuery) -> list[list[StoredSpan]]:
        """Return the newest matching traces."""
        return spans.traces(self._connection, query)

    def failures(self, query: SpanQuery) -> list[StoredSpan]:
        """Return matching spans that ended in an error."""
        return spans.failures(self._connection, query)

    def trace(self, trace_id: bytes) -> list[StoredSpan]:
        """Return one trace."""
        return spans.trace(self._connection, trace_id)

    def facts(self) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
        """Return what agents last said about themselves."""
        return others.facts(self._connection)

    def points(self, metric: str = "", service: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest points of other metrics."""
        return others.points(self._connection, metric, service, limit)

    def logs(self, query: LogQuery) -> LogPage:
        """Return one page of log records."""
        return logs.find(self._connection, query)

    def sizes(self) -> Sizes:
        """Return how full the database is."""
        return others.sizes(self._connection)

    def retain(self, now: float) -> int:
        """Remove what is too old or too much, whoever wrote it."""
        removed = 0
        for step in retention.STEPS:
            gone = step(self._connection, self._limits, now)
            if gone and step is retention.close_the_dead:
                self._writing.forget()
            removed += gone
        return removed

    def close(self) -> None:
        """Close the connections."""
        if not self._closed.is_set():
            self._closed.set()
            self._connected.close()

    @property
    def _connection(self) -> Connection:
        if self._closed.is_set():
            raise StoreError("the store is closed")
        return self._connected


def _same(one: Incoming, other: Incoming) -> bool:
    return one is other
