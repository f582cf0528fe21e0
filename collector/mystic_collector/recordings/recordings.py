"""Recordings in a SQLite file of their own: one outcome for each call, by recording and function."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mystic_agent.contract.recording import Recorded

from mystic_collector.store.protocol import StoreError

MOST_OF_ONE = 100_000
"""Outcomes in one recording."""

PAGE_BYTES = 2**20

_TABLES = """
create table if not exists outcomes(
  id integer primary key, recording text not null, function text not null, key text not null, value blob not null,
  error text not null, message text not null, call text not null, at real not null, size integer not null,
  unique(recording, function, key));
"""
_COLUMNS = "id, function, key, value, error, message, call, at"


class Kept(NamedTuple):
    """What became of a batch: outcomes taken, and those for which there was no room."""

    taken: int
    refused: int


class Page(NamedTuple):
    """Some outcomes in the order in which they were first taken.

    Attributes:
        next: where to go on, or None at the end.
    """

    outcomes: list[Recorded]
    next: int | None


class Recordings:
    """The recordings of one collector. Thread-safe.

    Args:
        path: the file.
        most_bytes: of all together; beyond it nothing more is taken.

    Raises:
        StoreError: when the file cannot be opened.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._lock = threading.Lock()
        self._most_bytes = most_bytes
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode = wal")
            self._db.executescript(_TABLES)
            [self._bytes] = self._db.execute("select coalesce(sum(size), 0) from outcomes").fetchone()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot open {str(path)!r}: {error}; move it away or choose MYSTIC_DATA_DIR") from error

    def keep(self, batch: Sequence[tuple[str, Recorded]]) -> Kept:
        """Take outcomes, each with the name of its recording; a later outcome of a call replaces the earlier.

        Raises:
            StoreError: when they cannot be written; then none of them is.
        """
        refused = 0
        with self._lock:
            before = self._bytes
            try:
                self._db.execute("begin immediate")
                for recording, outcome in batch:
                    refused += not self._keep(recording, outcome)
                self._db.execute("commit")
            except sqlite3.Error as error:
                self._bytes = before
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise StoreError(f"the recording could not be kept: {error}; check disk space and rights") from error
        return Kept(len(batch) - refused, refused)

    def _keep(self, recording: str, outcome: Recorded) -> bool:
        size = sum(map(len, (outcome.value, outcome.error, outcome.message, outcome.call, outcome.function))) + 100
        named = (recording, outcome.function, outcome.key)
        where = "from outcomes where recording = ? and function = ? and key = ?"
        old = self._db.execute(f"select size {where}", named).fetchone()
        if old is None:
            [count] = self._db.execute("select count(*) from outcomes where recording = ?", (recording,)).fetchone()
            if count >= MOST_OF_ONE:
                return False
        if self._bytes + size - (old[0] if old else 0) > self._most_bytes:
            return False
        self._db.execute(
            "insert into outcomes(recording, function, key, value, error, message, call, at, size) "
            "values(?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict(recording, function, key) do update set "
            "value = excluded.value, error = excluded.error, message = excluded.message, call = excluded.call, "
            "at = excluded.at, size = excluded.size",
            (*named, outcome.value, outcome.error, outcome.message, outcome.call, outcome.at, size),
        )
        self._bytes += size - (old[0] if old else 0)
        return True

    def listed(self) -> list[dict[str, Any]]:
        """Return every recording: name, functions, count, raised, bytes, first and last (Unix seconds)."""
        sql = (
            "select recording, group_concat(distinct function), count(*), sum(error != ''), sum(size), min(at), "
            "max(at) from outcomes group by recording order by recording"
        )
        names = ("name", "functions", "count", "raised", "bytes", "first", "last")
        found = [dict(zip(names, row, strict=True)) for row in self._read(sql, ())]
        return [{**one, "functions": sorted(one["functions"].split(","))} for one in found]

    def page(self, recording: str, function: str = "", after: int = 0, limit: int = 1000) -> Page:
        """Return outcomes of one recording, of one function or of all; of at most PAGE_BYTES, but for the last one."""
        sql = f"select {_COLUMNS} from outcomes where recording = ? and id > ?"  # noqa: S608 - constant columns
        given: tuple[Any, ...] = (recording, after)
        if function:
            sql, given = f"{sql} and function = ?", (*given, function)
        found: list[Recorded] = []
        size, last = 0, after
        for identity, *columns in self._read(f"{sql} order by id limit ?", (*given, limit + 1)):
            if len(found) >= limit or size >= PAGE_BYTES:
                return Page(found, last)
            found.append(Recorded(*columns))
            size += len(found[-1].value)
            last = identity
        return Page(found, None)

    def delete(self, recording: str) -> int:
        """Forget one recording; return how many outcomes it had."""
        with self._lock:
            try:
                gone = self._db.execute("delete from outcomes where recording = ?", (recording,)).rowcount
                [self._bytes] = self._db.execute("select coalesce(sum(size), 0) from outcomes").fetchone()
            except sqlite3.Error as error:
                raise StoreError(f"the recording could not be deleted: {error}; check the disk") from error
        return int(gone)

    def _read(self, sql: str, given: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(sql, given).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"recordings cannot be read: {error}; check the disk") from error

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()
