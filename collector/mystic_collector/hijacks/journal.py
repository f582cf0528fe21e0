"""The file behind the registry: hijacks in force, every change that led to them, and what was refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from mystic_agent.contract.errors import Invalid

from mystic_collector.hijacks.versions import Step
from mystic_collector.store.protocol import StoreError

MOST_ROWS = 100_000
MOST_ROW_BYTES = 256 * 2**20
"""Changes kept, by number and by size; the oldest go first."""

MOST_REFUSED = 10_000
LONGEST_REFUSED = 2048
"""Refused attempts kept, and the characters kept of one: they are others' text, and must not push changes out."""

REFUSED = "denied"
SWITCHING = ("off", "on")
NO_CHANGE = (REFUSED, *SWITCHING)
"""Actions in the audit that change no hijack."""

_CHANGING = f"action not in ({', '.join('?' * len(NO_CHANGE))})"
COLUMNS = ("id", "at", "version", "action", "hijack", "actor", "before", "after", "note")

_TABLES = """
create table if not exists hijacks(id text primary key, body text not null);
create table if not exists state(name text primary key, value integer not null);
create table if not exists switches(service text primary key, body text not null);
create table if not exists digests(hijack text not null, function text not null, digest text not null,
  primary key(hijack, function));
create table if not exists audit(
  id integer primary key, at real not null, version integer not null, action text not null, hijack text not null,
  actor text not null, before text not null, after text not null);
create index if not exists audit_of_hijack on audit(hijack);
create index if not exists audit_of_action on audit(action);
insert or ignore into state values('version', 0);
"""


class Entry(NamedTuple):
    """One line of the audit, but for its number.

    Attributes:
        at: Unix seconds.
        version: of the set from then on.
        action: add, replace, remove, renew, expire, undo, forbid, off, on; or denied, which changed nothing.
        hijack: its id; the service for off and on.
        note: why, where that is not the hijack's own reason.
    """

    at: float
    version: int
    action: str
    hijack: str
    actor: str
    before: Any
    after: Any
    note: str = ""


class FileJournal:
    """One SQLite file; every write is one transaction, so that it happens whole or not at all. Not thread-safe.

    Args:
        path: the file; its folder is created.

    Attributes:
        shared: others change what is kept as well, so that it must be asked for.

    Raises:
        StoreError: when the file cannot be opened or read.
    """

    shared = False

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode = wal")
            self._db.executescript(_TABLES)
            if "note" not in {row[1] for row in self._db.execute("pragma table_info(audit)")}:
                self._db.execute("alter table audit add column note text not null default ''")
            [version] = self._db.execute("select value from state where name = 'version'").fetchone()
            self.version: int = version
            size = "select coalesce(sum(length(before) + length(after)), 0) from audit"
            [self._bytes] = self._db.execute(size).fetchone()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot open {str(path)!r}: {error}; move it away or choose MYSTIC_DATA_DIR") from error

    def hijacks(self) -> list[tuple[str, str]]:
        """Return (id, JSON) of the hijacks in force, oldest first."""
        return self._rows("select id, body from hijacks order by rowid")

    def switches(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each service that is switched off."""
        return {service: orjson.loads(body) for service, body in self._rows("select service, body from switches")}

    def digests(self, hijack: str) -> dict[str, str]:
        """Return the digest of each function's source from when the hijack was made."""
        return dict(self._rows("select function, digest from digests where hijack = ?", (hijack,)))

    def last_change(self) -> int:
        """Return the version of the latest change of a hijack.

        Raises:
            Invalid: when there was none.
        """
        rows = self._entries(_CHANGING, NO_CHANGE, 1)
        if not rows:
            raise Invalid("to", None, "there is no change to undo")
        version: int = rows[0]["version"]
        return version

    def change(self, entries: Sequence[Entry], version: int) -> None:
        """Write what changed of the hijacks, and the version it leads to.

        Raises:
            StoreError: when it cannot be kept; nothing of it is then.
        """

        def write() -> None:
            self._write_change(entries)
            self._conclude(entries, version)

        self._whole(write, "the hijack")
        self.version = version

    def switch(self, entries: Sequence[Entry], version: int) -> None:
        """Write which services are switched off (``after``) and on (None), and the version it leads to.

        Raises:
            StoreError: when it cannot be kept; nothing of it is then.
        """

        def write() -> None:
            self._write_switch(entries)
            self._conclude(entries, version)

        self._whole(write, "the switch")
        self.version = version

    def refuse(self, entry: Entry) -> None:
        """Write down an attempt that changed nothing.

        Raises:
            StoreError: when it cannot be written.
        """
        self._whole(lambda: self._write_refused(refused(entry)), "the audit")

    def note_digests(self, hijack: str, digests: Mapping[str, str]) -> None:
        """Remember how the source of a hijack's functions looks now.

        Raises:
            StoreError: when it cannot be kept.
        """
        self._whole(lambda: self._write_digests(hijack, digests), "the digest")

    def lines(
        self, limit: int, before: int = 0, hijack: str = "", actor: str = "", action: str = ""
    ) -> list[dict[str, Any]]:
        """Return lines of the audit with these values, newest first, as COLUMNS → value; ``before`` is an id."""
        given = {"id < ?": before, "hijack = ?": hijack, "actor = ?": actor, "action = ?": action}
        wanted = {condition: value for condition, value in given.items() if value}
        return self._entries(" and ".join(wanted), tuple(wanted.values()), limit)

    def latest(self, hijack: str) -> int:
        """Return the version of the latest change of one hijack; 0 when none is known."""
        newest = self._entries("hijack = ? and action != ?", (hijack, REFUSED), 1)
        return int(newest[0]["version"]) if newest else 0

    def catch_up(self) -> bool:
        """Take in what others have changed; True when they have."""
        return False

    def _entries(self, where: str = "", values: Sequence[object] = (), limit: int = -1) -> list[dict[str, Any]]:
        """Return lines of the audit, newest first; ``where`` is a condition of SQL that is written in this package."""
        condition = f"where {where}" if where else ""
        sql = f"select {', '.join(COLUMNS)} from audit {condition} order by id desc limit ?"  # noqa: S608 - constant
        found = [dict(zip(COLUMNS, row, strict=True)) for row in self._rows(sql, (*values, limit))]
        for one in found:
            one["before"], one["after"] = orjson.loads(one["before"]), orjson.loads(one["after"])
        return found

    def by_version(self, before: int, limit: int, hijack: str = "") -> list[list[dict[str, Any]]]:
        """Return the lines of up to ``limit`` versions below ``before``, newest first, refusals left out."""
        mine = "and hijack = ?" if hijack else ""
        values = (before, REFUSED, *([hijack] if hijack else []))
        chosen = f"select distinct version from audit where version < ? and action != ? {mine} order by 1 desc limit ?"  # noqa: S608 - constant
        wanted = self._rows(chosen, (*values, limit))
        if not wanted:
            return []
        where = f"version < ? and action != ? {mine} and version >= ?"
        found: dict[int, list[dict[str, Any]]] = {}
        for one in self._entries(where, (*values, wanted[-1][0])):
            found.setdefault(one["version"], []).insert(0, one)
        return list(found.values())

    def since(self, version: int) -> list[Step]:
        """Return every change of a hijack after ``version``, newest first."""
        found = self._entries(f"version > ? and {_CHANGING}", (version, *NO_CHANGE))
        return [Step(one["hijack"], one["before"], one["after"]) for one in found]

    def oldest(self) -> int:
        """Return the earliest version that can still be told."""
        rows = self._rows("select version from audit where action != ? order by id limit 1", (REFUSED,))
        return int(rows[0][0]) - 1 if rows else self.version

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _write_change(self, entries: Iterable[Entry]) -> None:
        for one in entries:
            if one.after is None:
                self._db.execute("delete from hijacks where id = ?", (one.hijack,))
            else:
                sql = "insert into hijacks values(?, ?) on conflict do update set body = excluded.body"
                self._db.execute(sql, (one.hijack, _json(one.after)))

    def _write_switch(self, entries: Iterable[Entry]) -> None:
        for one in entries:
            self._db.execute("delete from switches where service = ?", (one.hijack,))
            if one.after is not None:
                self._db.execute("insert into switches values(?, ?)", (one.hijack, _json(one.after)))

    def _write_refused(self, entry: Entry) -> None:
        self._insert(entry)
        oldest = "select id from audit where action = ? order by id desc limit 1 offset ?"
        self._drop(f"action = ? and id <= ({oldest})", (REFUSED, REFUSED, MOST_REFUSED))

    def _write_digests(self, hijack: str, digests: Mapping[str, str]) -> None:
        self._db.execute("delete from digests where hijack = ?", (hijack,))
        rows = [(hijack, function, digest) for function, digest in digests.items()]
        self._db.executemany("insert into digests values(?, ?, ?)", rows)

    def _conclude(self, entries: Iterable[Entry], version: int) -> None:
        self._db.execute("update state set value = ? where name = 'version'", (version,))
        self._db.execute("delete from digests where hijack not in (select id from hijacks)")
        for one in entries:
            self._insert(one)
        self._drop("id <= (select id from audit order by id desc limit 1 offset ?)", (MOST_ROWS + MOST_REFUSED,))
        while self._bytes > MOST_ROW_BYTES and self._drop("id in (select id from audit order by id limit 100)"):
            pass

    def _insert(self, one: Entry) -> None:
        before, after = _json(one.before), _json(one.after)
        sql = f"insert into audit({', '.join(COLUMNS[1:])}) values(?, ?, ?, ?, ?, ?, ?, ?)"
        self._db.execute(sql, (one.at, one.version, one.action, one.hijack, one.actor, before, after, one.note))
        self._bytes += len(before) + len(after)

    def _drop(self, where: str, values: Sequence[object] = ()) -> int:
        """Delete lines of the audit; return how many went."""
        sql = f"delete from audit where {where} returning length(before) + length(after)"  # noqa: S608 - constant
        gone = self._db.execute(sql, values).fetchall()
        self._bytes -= sum(size for [size] in gone)
        return len(gone)

    def _whole(self, write: Any, what: str) -> None:
        known = self._bytes
        try:
            self._db.execute("begin immediate")
            write()
            self._db.execute("commit")
        except (sqlite3.Error, StoreError) as error:
            self._bytes = known
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise StoreError(f"{what} could not be kept: {error}; check disk space and rights") from error

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"the hijacks could not be read: {error}; check the disk") from error


def refused(entry: Entry) -> Entry:
    """Return the line of an attempt that changed nothing; what others have sent is cut."""
    shown = _json(entry.after)
    after = entry.after if len(shown) <= LONGEST_REFUSED else {"cut": shown[:LONGEST_REFUSED]}
    return entry._replace(action=REFUSED, after=after)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
