"""The set of hijacks: every change makes a new version of the whole, kept and audited."""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from mystic_agent.contract.deny import check_target
from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.hijack import Hijack, parse_hijack

from mystic_collector.store.protocol import StoreError

MOST_HIJACKS = 1_000
MOST_BYTES = 2 * 2**20
"""Size of the whole set as JSON; agents refuse events above 4 MiB."""

_TABLES = """
create table if not exists hijacks(id text primary key, body text not null);
create table if not exists state(name text primary key, value integer not null);
create table if not exists audit(
  id integer primary key, at real not null, version integer not null, action text not null, hijack text not null,
  actor text not null, before text not null, after text not null);
insert or ignore into state values('version', 0);
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole set at one version."""

    version: int
    hijacks: tuple[Hijack, ...]

    def for_service(self, service: str) -> dict[str, Any]:
        """Return what a process of ``service`` is sent: ``{"version", "hijacks"}``."""
        return {"version": self.version, "hijacks": [one.to_json() for one in self.hijacks if one.applies_to(service)]}


class Registry:
    """The hijacks in force, in a SQLite file of their own. Thread-safe.

    Args:
        path: the file; its folder is created.
        clock: Unix seconds.

    Raises:
        StoreError: when the file cannot be opened or read.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode = wal")
            self._db.executescript(_TABLES)
            [self._version] = self._db.execute("select value from state where name = 'version'").fetchone()
            rows = self._db.execute("select body from hijacks order by rowid").fetchall()
            found = [parse_hijack(orjson.loads(body)) for [body] in rows]
        except (OSError, ValueError, sqlite3.Error) as error:
            raise StoreError(f"cannot open {str(path)!r}: {error}; move it away or choose MYSTIC_DATA_DIR") from error
        self._hijacks = {one.id: one for one in found}

    def snapshot(self) -> Snapshot:
        """Return the set of this moment."""
        with self._lock:
            return Snapshot(self._version, tuple(self._hijacks.values()))

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` after every new version, from the thread that made it; return the undo."""
        with self._lock:
            self._listeners.append(changed)

        def undo() -> None:
            with self._lock:
                self._listeners.remove(changed)

        return undo

    def put(self, fields: Mapping[str, Any], identity: str = "", actor: str = "") -> Hijack:
        """Add a hijack, or replace the one called ``identity``.

        Args:
            fields: the wire form without ``id`` and ``created_at``; ``expires_in`` (a duration) may stand for
                ``expires_at``.
            identity: of the hijack to replace; empty adds one.
            actor: who did it, for the audit; the owner when empty.

        Raises:
            Invalid: naming the field that is wrong; the set is as before.
            KeyError: when there is no hijack ``identity``.
        """
        now = self._clock()
        for name in ("id", "created_at"):
            if name in fields and fields[name] != identity:
                raise Invalid(name, fields[name], "leave it out; the collector sets it")
        body = {name: value for name, value in fields.items() if name not in ("id", "created_at", "expires_in")}
        if "expires_in" in fields and fields["expires_in"] is not None:
            if body.get("expires_at") is not None:
                raise Invalid("expires_in", fields["expires_in"], "give either expires_in or expires_at")
            body["expires_at"] = now + seconds(fields["expires_in"], "expires_in")
        hijack = parse_hijack({**body, "id": identity or secrets.token_hex(6), "created_at": now})
        if hijack.expired(now):
            raise Invalid("expires_at", hijack.expires_at, "give a moment in the future, as Unix seconds")
        self._check_target(hijack, actor or hijack.owner, now)
        with self._lock:
            before = self._hijacks[identity] if identity else None
            if before is not None:
                hijack = replace(hijack, created_at=before.created_at)
            after = {**self._hijacks, hijack.id: hijack}
            self._check_size(after)
            self._commit("replace" if before else "add", before, hijack, actor or hijack.owner, now)
        self._tell()
        return hijack

    def remove(self, identity: str, actor: str = "", action: str = "remove") -> Hijack:
        """Remove a hijack and return it.

        Raises:
            KeyError: when there is none called ``identity``.
        """
        with self._lock:
            gone = self._hijacks[identity]
            self._commit(action, gone, None, actor, self._clock())
        self._tell()
        return gone

    def expire(self) -> list[Hijack]:
        """Remove and return the leases that have run out."""
        now = self._clock()
        gone = []
        for one in self.snapshot().hijacks:
            if one.expired(now):
                try:
                    gone.append(self.remove(one.id, "lease", "expire"))
                except KeyError:
                    continue  # removed by somebody else meanwhile
        return gone

    def next_expiry(self) -> float | None:
        """Return the earliest expiry in Unix seconds, or None."""
        moments = [one.expires_at for one in self.snapshot().hijacks if one.expires_at is not None]
        return min(moments, default=None)

    def audit(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest changes first: at, version, action, hijack, actor, before, after."""
        names = ("at", "version", "action", "hijack", "actor", "before", "after")
        sql = f"select {', '.join(names)} from audit order by id desc limit ?"  # noqa: S608 - constant names
        with self._lock:
            rows = self._db.execute(sql, (limit,)).fetchall()
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for one in found:
            one["before"], one["after"] = orjson.loads(one["before"]), orjson.loads(one["after"])
        return found

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def _check_size(self, hijacks: Mapping[str, Hijack]) -> None:
        if len(hijacks) > MOST_HIJACKS:
            raise Invalid("hijacks", len(hijacks), f"remove some; at most {MOST_HIJACKS} are kept")
        size = len(orjson.dumps([one.to_json() for one in hijacks.values()]))
        if size > MOST_BYTES:
            raise Invalid("hijacks", f"{size} bytes", f"remove some; all together may have {MOST_BYTES} bytes as JSON")

    def _check_target(self, hijack: Hijack, actor: str, now: float) -> None:
        """Refuse what no hijack may change; the attempt is audited."""
        for specs in hijack.stages.values():
            try:
                check_target(hijack.target, specs)
            except Invalid:
                shown = orjson.dumps(hijack.to_json()).decode()
                with self._lock:
                    self._record(now, self._version, "denied", hijack.id, actor, "null", shown)
                raise

    def _record(self, *row: object) -> None:
        """Write one line of the audit.

        Raises:
            StoreError: when it cannot be written.
        """
        sql = "insert into audit(at, version, action, hijack, actor, before, after) values(?, ?, ?, ?, ?, ?, ?)"
        try:
            self._db.execute(sql, row)
        except sqlite3.Error as error:
            raise StoreError(f"the audit could not be written: {error}; check disk space and rights") from error

    def _commit(self, action: str, before: Hijack | None, after: Hijack | None, actor: str, now: float) -> None:
        """Write one change; memory follows only when the file has it."""
        identity = (after or before).id  # type: ignore[union-attr]
        shown = [orjson.dumps(one.to_json() if one else None).decode() for one in (before, after)]
        try:
            self._db.execute("begin immediate")
            if after is None:
                self._db.execute("delete from hijacks where id = ?", (identity,))
            else:
                sql = "insert into hijacks values(?, ?) on conflict do update set body = excluded.body"
                self._db.execute(sql, (identity, shown[1]))
            self._db.execute("update state set value = ? where name = 'version'", (self._version + 1,))
            self._record(now, self._version + 1, action, identity, actor, *shown)
            self._db.execute("commit")
        except (sqlite3.Error, StoreError) as error:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise StoreError(f"the hijack could not be kept: {error}; check disk space and rights") from error
        self._version += 1
        if after is None:
            del self._hijacks[identity]
        else:
            self._hijacks[identity] = after

    def _tell(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for changed in listeners:
            changed()
