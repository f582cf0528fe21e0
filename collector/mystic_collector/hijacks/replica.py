"""A collector's own copy of what the fleet keeps: what it goes on with when the server is away, and begins with."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import orjson

from mystic_collector.hijacks.journal import Entry, FileJournal, refused
from mystic_collector.hijacks.log import CHANGE, DENIED, DIGESTS, NEW_VERSION, PAST, Line
from mystic_collector.store.protocol import StoreError

MOST_HEADS = 20_000
"""Versions whose token is known; more than the server's log has."""

_TABLES = """
create table if not exists heads(version integer primary key, token text not null);
create table if not exists followed(name text primary key, text text not null);
"""


class Gap(Exception):
    """A line does not follow from what is known here."""


class Replica(FileJournal):
    """A journal's file that follows a log.

    Args:
        path: the file.
        island: a journal's file from when this collector was alone; it is copied when ``path`` is not there.

    Raises:
        StoreError: as of the journal.
    """

    def __init__(self, path: Path, island: Path | None = None) -> None:
        if island is not None and island.exists() and not path.exists():
            _copy(island, path)
        super().__init__(path)
        self._path = path
        self._whole(lambda: [self._db.execute(one) for one in _TABLES.strip().splitlines()], "the fleet's copy")
        self.head = self.token_of(self.version)
        self.incarnation = self._followed("incarnation")
        self.position = self._followed("position")

    def token_of(self, version: int) -> str:
        """Return what names a version; empty when it is not known."""
        rows = self._rows("select token from heads where version = ?", (version,))
        return str(rows[0][0]) if rows else ""

    def name_head(self, token: str) -> None:
        """Name the latest version."""
        self._whole(lambda: self._write_head(self.version, token), "the fleet's copy")
        self.head = token

    def follow(self, incarnation: str, position: str = "") -> None:
        """Follow a log from ``position`` on; from its beginning when it is empty."""

        def write() -> None:
            self._write_followed("incarnation", incarnation)
            self._write_followed("position", position)

        self._whole(write, "the fleet's copy")
        self.incarnation, self.position = incarnation, position

    def take(self, lines: Sequence[Line]) -> bool:
        """Take lines of the log in, all or none; True when one of them was new.

        Raises:
            Gap: when one does not follow; nothing was taken.
        """
        version, head, known = self.version, self.head, self.version
        new = []
        for one in lines:
            if one.kind not in NEW_VERSION:
                new.append(one)
            elif one.version <= version:
                if (one.version > known and one.token != head) or (
                    one.version <= known and self.token_of(one.version) != one.token
                ):
                    raise Gap
            elif one.version != version + 1 or one.parent != head or not one.token:
                raise Gap
            else:
                new.append(one)
                version, head = one.version, one.token

        def write() -> None:
            for one in new:
                self._write_line(one)
            self._write_followed("position", lines[-1].position)

        if not lines:
            return False
        self._whole(write, "the fleet's change")
        changed: bool = version != self.version
        self.version, self.head, self.position = version, head, lines[-1].position
        return changed

    def later(self, version: int) -> list[Line]:
        """Return what led from ``version`` to here, as lines of the log."""
        found: dict[int, list[Entry]] = {}
        rows = self._entries("version > ? and action != 'denied'", (version,))
        for row in reversed(rows):
            found.setdefault(row["version"], []).append(Entry(**{name: row[name] for name in Entry._fields}))
        made, parent = [], self.token_of(version)
        for number, entries in found.items():
            kind = "switch" if entries[0].action in ("off", "on") else CHANGE
            token = self.token_of(number)
            made.append(Line(kind, number, token, parent, tuple(entries)))
            parent = token
        return made

    def load(
        self,
        hijacks: Mapping[str, str],
        switches: Mapping[str, str],
        digests: Mapping[str, Mapping[str, str]],
        lines: Iterable[Line],
        version: int,
        token: str,
    ) -> None:
        """Begin anew with all that the server has; what there was is put aside, in a file beside this one."""
        if self.version:
            _copy(self._path, self._path.with_suffix(".before.db"))

        def write() -> None:
            for table in ("hijacks", "switches", "digests", "heads", "audit"):
                self._db.execute(f"delete from {table}")  # noqa: S608 - constant
            self._bytes = 0
            self._db.executemany("insert into hijacks values(?, ?)", list(hijacks.items()))
            self._db.executemany("insert into switches values(?, ?)", list(switches.items()))
            for hijack, known in digests.items():
                self._write_digests(hijack, known)
            position = ""
            for one in lines:
                position = one.position
                for entry in one.entries:
                    self._insert(entry)
                if one.kind in NEW_VERSION and one.version <= version:
                    self._write_head(one.version, one.token)
            self._write_head(version, token)
            self._conclude([], version)
            self._write_followed("position", position)
            self.position = position

        self._whole(write, "what the fleet has")
        self.version, self.head = version, token

    def bodies(self) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, str]]]:
        """Return hijacks and switches as JSON, and digests, by hijack or service."""
        switches = dict(self._rows("select service, body from switches"))
        digests: dict[str, dict[str, str]] = {}
        for hijack, function, digest in self._rows("select hijack, function, digest from digests"):
            digests.setdefault(hijack, {})[function] = digest
        return dict(self.hijacks()), switches, digests

    def _write_line(self, one: Line) -> None:
        if one.kind == DENIED:
            for entry in one.entries:
                self._write_refused(refused(entry))
        elif one.kind == DIGESTS:
            for hijack, known in one.digests.items():
                self._write_digests(hijack, known)
        elif one.kind != PAST:
            (self._write_change if one.kind == CHANGE else self._write_switch)(one.entries)
            self._conclude(one.entries, one.version)
            self._write_head(one.version, one.token)

    def _write_head(self, version: int, token: str) -> None:
        self._db.execute("insert or replace into heads values(?, ?)", (version, token))
        self._db.execute("delete from heads where version <= ?", (version - MOST_HEADS,))

    def _write_followed(self, name: str, text: str) -> None:
        self._db.execute("insert or replace into followed values(?, ?)", (name, text))

    def _followed(self, name: str) -> str:
        rows = self._rows("select text from followed where name = ?", (name,))
        return str(rows[0][0]) if rows else ""


def _copy(source: Path, target: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise StoreError(f"{str(source)!r} cannot be copied to {str(target)!r}: {error}; check the disk") from error


def as_json(value: object) -> str:
    """Return a value as the file and the server keep it."""
    return orjson.dumps(value).decode()
