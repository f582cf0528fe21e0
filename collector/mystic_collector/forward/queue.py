"""What waits for one destination: a bounded queue in a SQLite file, which outlives restarts."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
create table if not exists waiting(
    id integer primary key autoincrement,
    signal text not null,
    via text not null,
    items integer not null,
    body blob not null
)
"""
_PUT = "insert into waiting(signal, via, items, body) values(?, ?, ?, ?)"
_OLDEST = "select id, signal, via, items, body from waiting order by id limit 64"
_FIRST = "select id, items, length(body) + ? from waiting order by id limit 1"
_TOTAL = "select coalesce(sum(items), 0), coalesce(sum(length(body) + ?), 0) from waiting"
_ROW_BYTES = 64
"""What a row takes beside its body."""


class Message(NamedTuple):
    """One request, as it came.

    Attributes:
        signal: ``traces``, ``metrics`` or ``logs``.
        body: an OTLP export request in protobuf, not compressed.
        items: spans, points or log records in it.
        via: ids of the collectors that sent it on before, comma-separated.
    """

    signal: str
    body: bytes
    items: int
    via: str = ""


class Waiting(NamedTuple):
    """A message in the queue; ``id`` grows with its age's end."""

    id: int
    message: Message


class Queue:
    """First in, first out; over its bound the oldest go, because what is new is worth more after an outage.

    Args:
        path: the file; a damaged one is put aside as ``….damaged``.
        most_bytes: of bodies that wait.

    Raises:
        OSError: when there can be no such file.
        sqlite3.Error: the same.

    Attributes:
        items: spans, points and log records that wait.
        bytes: of their bodies.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = _opened(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            path.replace(path.with_suffix(".damaged"))
            self._file = _opened(path)
        self.items = self.bytes = 0
        self._count()

    def put(self, messages: Sequence[Message]) -> int:
        """Keep messages, in one transaction; return how many items had to go for them, the oldest first.

        Raises:
            sqlite3.Error: when they cannot be kept, such as on a full disk.
        """
        rows = [(one.signal, one.via, one.items, one.body) for one in messages]
        with self._lock:
            try:
                with self._file:
                    self._file.executemany(_PUT, rows)
                    self.items += sum(one.items for one in messages)
                    self.bytes += sum(len(one.body) + _ROW_BYTES for one in messages)
                    return self._shrink()
            except sqlite3.Error:
                self._count()
                raise

    def oldest(self, most_bytes: int) -> list[Waiting]:
        """Return the oldest messages that one request can carry: of one signal, at least one, up to ``most_bytes``."""
        found: list[Waiting] = []
        size = 0
        with self._lock, closing(self._file.execute(_OLDEST)) as rows:
            for identity, signal, via, items, body in rows:
                one = Waiting(identity, Message(signal, body, items, via))
                size += len(body)
                if found and (size > most_bytes or _kind(found[0]) != _kind(one)):
                    break
                found.append(one)
        return found

    def done(self, sent: Sequence[Waiting]) -> int:
        """Take messages out; return how many items of them were there still and had not been dropped meanwhile.

        Raises:
            sqlite3.Error: when they cannot be taken out.
        """
        gone = 0
        with self._lock, self._file:
            for one in sent:
                if self._file.execute("delete from waiting where id = ?", (one.id,)).rowcount:
                    self._forget(one.message.items, len(one.message.body) + _ROW_BYTES)
                    gone += one.message.items
        if not self.items:
            self._give_back()
        return gone

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _count(self) -> None:
        self.items, self.bytes = self._file.execute(_TOTAL, (_ROW_BYTES,)).fetchone()

    def _shrink(self) -> int:
        dropped = 0
        while self.bytes > self._most:
            oldest = self._file.execute(_FIRST, (_ROW_BYTES,)).fetchone()
            if oldest is None:
                break
            self._file.execute("delete from waiting where id = ?", oldest[:1])
            self._forget(*oldest[1:])
            dropped += oldest[1]
        return dropped

    def _forget(self, items: int, size: int) -> None:
        self.items -= items
        self.bytes -= size

    def _give_back(self) -> None:
        """Return the pages that an outage took to the system."""
        with self._lock:
            self._file.execute("pragma incremental_vacuum").fetchall()


def _kind(one: Waiting) -> tuple[str, str]:
    return one.message.signal, one.message.via


def _opened(path: Path) -> sqlite3.Connection:
    found = sqlite3.connect(path, timeout=10.0, check_same_thread=False)
    try:
        found.execute("pragma auto_vacuum = incremental")
        found.execute("pragma journal_mode = wal")
        # A crash of the machine may take the last transactions with it; a crash of the process does not.
        found.execute("pragma synchronous = normal")
        found.execute("pragma journal_size_limit = 4194304")
        found.execute(_SCHEMA)
        found.commit()
    except BaseException:
        found.close()
        raise
    return found
