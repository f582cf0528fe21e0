"""Shared entries on diskcache: SQLite and files in one folder, least recently stored out first."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW

from mystic_collector.cache.entries import Entry, Kept, Name
from mystic_collector.store.protocol import StoreError

_JOINT = "\x00"


class Planted(OSError):
    """An entry that we cannot have written; diskcache takes it for an entry that has gone."""


class Bytes(diskcache.Disk):  # type: ignore[misc]
    """How diskcache reads and writes: text keys and bytes only, where it would pickle anything else."""

    dropped = 0

    def put(self, key: object) -> tuple[Any, bool]:
        """Return a text key as it is."""
        if type(key) is not str:
            raise TypeError(f"a key is text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: bool) -> Any:
        """Return a key of the table as it is, whatever it claims to be."""
        return key if raw and type(key) is str else ""

    def store(self, value: object, read: bool, key: object = diskcache.core.UNKNOWN) -> Any:
        """Write bytes."""
        if type(value) is not bytes or read:
            raise TypeError(f"a value is bytes, not {type(value).__name__}")
        return super().store(value, read, key)

    def _write(self, full_path: str, iterator: Any, mode: str, encoding: str | None = None) -> None:
        """Write a file of its own; one that the disk has no room for goes, which diskcache would never find again."""
        try:
            super()._write(full_path, iterator, mode, encoding)
        except OSError:
            with contextlib.suppress(OSError):
                Path(full_path).unlink()
            raise

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Return the bytes of an entry.

        Raises:
            Planted: when it is a pickle, a text, or a file outside of our folder.
        """
        if mode == MODE_RAW and type(value) in (bytes, memoryview, sqlite3.Binary):
            return bytes(value)
        if mode == MODE_BINARY and type(filename) is str:
            folder = Path(self._directory).resolve()
            path = (folder / filename).resolve()
            if path.is_relative_to(folder):
                return path.read_bytes()
        self.dropped += 1
        raise Planted("an entry of the shared cache is not in the form it was written in")


class EmbeddedEntries:
    """Shared entries of one machine.

    Args:
        folder: where they lie; made when it is not there.
        max_bytes: size they may take together.
        clock: Unix seconds.

    Raises:
        StoreError: when the folder cannot be used, and by every method when something cannot be kept or read.
    """

    def __init__(self, folder: Path, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._folder = folder
        self._max_bytes = max_bytes
        with self._said("move it away or choose MYSTIC_DATA_DIR"):
            self._cache = diskcache.Cache(
                str(folder), disk=Bytes, size_limit=max_bytes, eviction_policy="least-recently-stored", statistics=0
            )
        self._disk: Bytes = self._cache.disk

    @property
    def dropped(self) -> int:
        """Entries that were not in our form and have been removed."""
        return self._disk.dropped

    def get(self, function: str, key: str) -> Entry | None:
        """Return what is kept and has not expired, or None."""
        name, dropped = function + _JOINT + key, self._disk.dropped
        with self._said():
            value, expires = self._cache.get(name, default=None, expire_time=True)
            if self._disk.dropped != dropped:
                self._cache.delete(name)
        return None if value is None else Entry(value, expires)

    def put(self, function: str, key: str, value: bytes, ttl: float | None) -> None:
        """Keep ``value`` for ``ttl`` seconds, or until there is no room.

        Raises:
            ValueError: when it is larger than the whole cache may be.
        """
        if len(value) > self._max_bytes // 2:
            raise ValueError(f"{len(value)} bytes are more than half of the {self._max_bytes} bytes there are")
        with self._said():
            self._cache.set(function + _JOINT + key, value, expire=ttl)

    def find(self, names: Sequence[Name], most_bytes: int) -> list[bytes]:
        """Return the value of each, ``b""`` for what is not kept or no longer fits into ``most_bytes``."""
        left, found = most_bytes, []
        for function, key in names:
            entry = self.get(function, key) if left > 0 else None
            value = b"" if entry is None or len(entry.value) > left else entry.value
            left -= len(value)
            found.append(value)
        return found

    def keep(self, entries: Sequence[Kept]) -> None:
        """Keep many; those that are larger than the whole cache may be are left out."""
        for one in entries:
            with contextlib.suppress(ValueError):  # whoever asks for it will not find it
                self.put(*one)

    def delete(self, function: str, key: str) -> bool:
        """Forget one entry; True when there was one."""
        with self._said():
            return bool(self._cache.delete(function + _JOINT + key))

    def count(self) -> int:
        """Return how many entries are kept."""
        with self._said():
            return len(self._cache)

    def close(self) -> None:
        """Release files."""
        self._cache.close()

    @contextmanager
    def _said(self, remedy: str = "check disk space and rights, or move it away") -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, diskcache.Timeout) as error:
            raise StoreError(f"the shared cache in {str(self._folder)!r} fails: {error}; {remedy}") from error
