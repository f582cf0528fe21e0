"""What a store must do; one contract suite runs against every implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mystic_collector.store.external_records import ExternalRow
from mystic_collector.store.life_records import Life, LifeQuery
from mystic_collector.store.log_records import LogPage, LogQuery
from mystic_collector.store.records import FunctionTotals, Incoming, Interval, Recent, Sizes, SpanQuery, StoredSpan


class Store(Protocol):
    """Keeps what was heard.

    ``write`` and ``retain`` are called by one thread; the readers by any, at the same time. What ``write`` has
    returned from is seen by every later read and survives a restart.
    """

    def write(self, batch: Sequence[Incoming]) -> None:
        """Keep everything in ``batch`` or, when this raises, nothing of it.

        Cumulative figures only grow: of one (process, function, start) the point with the highest count
        counts, so that late, repeated and reordered points change nothing.

        Raises:
            StoreError: when it cannot be kept (disk full, file damaged).
        """

    def functions(self, service: str = "", function: str = "") -> list[FunctionTotals]:
        """Return the totals of every function, or of one service or one function."""

    def history(self, function: str, service: str = "", since: float = 0.0) -> list[Interval]:
        """Return what happened per interval since ``since`` (Unix seconds), oldest first, without empty ones."""

    def lives(self, query: LifeQuery) -> list[Life]:
        """Return functions that hijacks were in force on, process by process, with their marks."""

    def externals(self, service: str = "", since: float = 0.0) -> list[ExternalRow]:
        """Return what functions did outside of their processes, of processes that did so since then."""

    def recent(self, since: float, service: str = "") -> list[Recent]:
        """Return how often each function was called in the intervals that began at ``since`` or later."""

    def rates(self, since: float, service: str = "") -> list[Interval]:
        """Return what all functions together did per interval since ``since`` (Unix seconds), oldest first.

        Without the distribution of durations, and without intervals in which nothing was called. While intervals are
        made wider, one moment may be in two of them.
        """

    def traces(self, query: SpanQuery) -> list[list[StoredSpan]]:
        """Return the newest traces with a matching span, each with all its spans by start."""

    def failures(self, query: SpanQuery) -> list[StoredSpan]:
        """Return matching spans that ended in an error, newest first, some more than ``query.limit``."""

    def trace(self, trace_id: bytes) -> list[StoredSpan]:
        """Return all spans of one trace by start; empty when it is unknown."""

    def facts(self) -> dict[tuple[str, str], dict[tuple[str, str], float]]:
        """Return per (service, instance) the latest (metric, kind) → value."""

    def points(self, metric: str = "", service: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest points of other metrics."""

    def logs(self, query: LogQuery) -> LogPage:
        """Return one page of log records, newest first unless ``query.after`` asks for the order of arrival."""

    def sizes(self) -> Sizes:
        """Return how full it is."""

    def retain(self, now: float) -> int:
        """Remove what is too old or too much at ``now`` (Unix seconds); return how many rows went."""

    def close(self) -> None:
        """Release files and connections; calling it twice is harmless."""


class StoreError(Exception):
    """The store could not keep or read something; the message says what and what to do.

    Attributes:
        passing: the same may well work later: the disk is full, the file is busy.
    """

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
