"""A journal that several collectors share through a Redis or Valkey server.

Law: a version is made at the server alone, by one transaction that compares what it follows from; every collector
keeps a copy, which follows the server's log. A token names each version, so that two histories that part are told
from one another: what the server has wins, and a server that has lost its state gets it back from the copies.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from mystic_collector.hijacks.journal import Entry, refused
from mystic_collector.hijacks.log import (
    CHANGE,
    DENIED,
    DIGESTS,
    SWITCH,
    Line,
    Unreadable,
    past,
    read_digests,
    read_line,
)
from mystic_collector.hijacks.protocol import Behind
from mystic_collector.hijacks.replica import Gap, Replica, as_json
from mystic_collector.hijacks.versions import Step
from mystic_collector.rendezvous import Overtaken, Rendezvous
from mystic_collector.store.protocol import StoreError

_log = logging.getLogger("mystic_collector.hijacks")

MOST_LOGGED = 10_000
"""Lines of the server's log; who was away for longer begins anew with the state."""

MOST_PAST = 1_000
"""Lines of the audit that are given to a server that has none."""

_ATTEMPTS = 20
_FIELDS = ("incarnation", "version", "token")


class _Top(NamedTuple):
    """What the server has: which life of its it is, and the latest version."""

    incarnation: str
    version: int
    token: str


class FleetJournal:
    """A copy on disk, and the server that decides. Not thread-safe.

    Args:
        copy: of what the fleet keeps.
        server: where it is kept.
    """

    shared = True

    def __init__(self, copy: Replica, server: Rendezvous) -> None:
        self._copy = copy
        self._server = server
        self._meta, self._lines = server.key("meta"), server.key("log")
        self._hijacks, self._switches = server.key("hijacks"), server.key("switches")
        self._digests, self.channel = server.key("digests"), server.key("news")

    @property
    def version(self) -> int:
        """The latest version that is known here."""
        return self._copy.version

    # -- read from the copy ------------------------------------------------------------------------------

    def hijacks(self) -> list[tuple[str, str]]:
        """Return (id, JSON) of the hijacks in force."""
        return self._copy.hijacks()

    def switches(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each service that is switched off."""
        return self._copy.switches()

    def digests(self, hijack: str) -> dict[str, str]:
        """Return the digest of each function's source."""
        return self._copy.digests(hijack)

    def last_change(self) -> int:
        """Return the version of the latest change of a hijack."""
        return self._copy.last_change()

    def latest(self, hijack: str) -> int:
        """Return the version of the latest change of one hijack."""
        return self._copy.latest(hijack)

    def lines(
        self, limit: int, before: int = 0, hijack: str = "", actor: str = "", action: str = ""
    ) -> list[dict[str, Any]]:
        """Return lines of the audit."""
        return self._copy.lines(limit, before, hijack, actor, action)

    def by_version(self, before: int, limit: int, hijack: str = "") -> list[list[dict[str, Any]]]:
        """Return lines of the audit by version."""
        return self._copy.by_version(before, limit, hijack)

    def since(self, version: int) -> list[Step]:
        """Return every change of a hijack after ``version``."""
        return self._copy.since(version)

    def oldest(self) -> int:
        """Return the earliest version that can still be told."""
        return self._copy.oldest()

    def close(self) -> None:
        """Release the copy; the server belongs to who gave it."""
        self._copy.close()

    # -- written at the server ---------------------------------------------------------------------------

    def change(self, entries: Sequence[Entry], version: int) -> None:
        """Make a version of changed hijacks."""
        self._commit(Line(CHANGE, version, secrets.token_hex(8), self._copy.head, tuple(entries)))

    def switch(self, entries: Sequence[Entry], version: int) -> None:
        """Make a version of changed switches."""
        self._commit(Line(SWITCH, version, secrets.token_hex(8), self._copy.head, tuple(entries)))

    def refuse(self, entry: Entry) -> None:
        """Write an attempt down for all; here alone while the server is away."""
        try:
            self._tell(Line(DENIED, entries=(refused(entry),)))
        except StoreError:
            self._copy.refuse(entry)

    def note_digests(self, hijack: str, digests: Mapping[str, str]) -> None:
        """Remember digests for all; here alone while the server is away."""
        try:
            self._tell(Line(DIGESTS, digests={hijack: digests}))
        except StoreError:
            self._copy.note_digests(hijack, digests)

    def catch_up(self) -> bool:
        """Take in what others have changed, and give the server what it has lost."""
        before = self.version, self._copy.head
        for _ in range(_ATTEMPTS):
            try:
                top, lines = self._server.ask(self._read)
                if top is None:
                    self._server.ask(self._seed)
                elif top.incarnation == self._copy.incarnation and top.version >= self.version:
                    self._follow(top, lines)
                    break
                else:
                    self._join(top)
            except Overtaken:
                continue
            except (Gap, Unreadable):
                self._begin_anew()
        return before != (self.version, self._copy.head)

    def _read(self, client: Any) -> tuple[_Top | None, list[Line]]:
        with client.pipeline() as asked:
            asked.hmget(self._meta, _FIELDS)
            asked.xrange(self._lines, self._next(), "+")
            found, lines = asked.execute()
        return _top(found), [read_line(*one) for one in lines]

    def _follow(self, top: _Top, lines: list[Line]) -> None:
        """Take the log's lines; they lead to what the server has, or something is amiss."""
        self._copy.take(lines)
        if (self.version, self._copy.head) != (top.version, top.token):
            raise Gap

    def _join(self, top: _Top) -> None:
        """Follow a server that has another state than the one followed so far: newly met, or set back.

        Raises:
            Overtaken, StoreError: as the server says.
        """
        if self.version and not top.version:
            self._server.ask(self._seed)
            raise Overtaken
        if top.version < self.version and top.token and top.token == self._copy.token_of(top.version):
            for one in self._copy.later(top.version):
                self._server.ask(self._writing(one, top.incarnation))
            _log.warning("the fleet's server was set back; versions after %d are given back from here", top.version)
        self._copy.follow(top.incarnation)
        found, lines = self._server.ask(self._read)
        if found is None or found.incarnation != top.incarnation:
            raise Overtaken
        self._follow(found, lines)

    def _seed(self, client: Any) -> None:
        """Give a server that has nothing all that is known here."""
        if not self._copy.head and self.version:
            self._copy.name_head(secrets.token_hex(8))
        incarnation = secrets.token_hex(8)
        hijacks, switches, digests = self._copy.bodies()
        with client.pipeline() as asked:
            asked.watch(self._meta)
            top = _top(asked.hmget(self._meta, _FIELDS))
            if top is not None and (top.version or not self.version):
                raise Overtaken
            asked.multi()
            asked.delete(self._lines, self._hijacks, self._switches, self._digests)
            mine = {"incarnation": incarnation, "version": self.version, "token": self._copy.head}
            asked.hset(self._meta, mapping=mine)
            known = {hijack: as_json(one) for hijack, one in digests.items()}
            for name, mapping in ((self._hijacks, hijacks), (self._switches, switches), (self._digests, known)):
                if mapping:
                    asked.hset(name, mapping=mapping)
            for one in past(self._copy.lines(MOST_PAST)[::-1]):
                asked.xadd(self._lines, one.fields())
            asked.execute()
        _log.warning("the fleet's server had nothing; it has version %d from here", self.version)

    def _begin_anew(self) -> None:
        """Take the server's state instead of ours, and say what was in force here alone."""

        def read(client: Any) -> list[Any]:
            with client.pipeline() as asked:
                asked.hmget(self._meta, _FIELDS)
                for name in (self._hijacks, self._switches, self._digests):
                    asked.hgetall(name)
                asked.xrange(self._lines)
                answers: list[Any] = asked.execute()
                return answers

        found, hijacks, switches, digests, lines = self._server.ask(read)
        top = _top(found)
        if top is None:
            raise Overtaken
        before = dict(self._copy.hijacks())
        known = {hijack: _digests(one) for hijack, one in _texts(digests).items()}
        readable = [one for one in map(_readable, lines) if one is not None]
        self._copy.load(_texts(hijacks), _texts(switches), known, readable, top.version, top.token)
        self._copy.follow(top.incarnation, self._copy.position)
        gone = [identity for identity in before if identity not in dict(self._copy.hijacks())]
        if gone:
            text = "hijacks %s were in force here alone and are not the fleet's; fleet.before.db has them"
            _log.warning(text, ", ".join(gone[:20]))

    def _commit(self, line: Line) -> None:
        """Write a new version, and take in what the log has until then.

        Raises:
            Behind: when what it follows from is not what the server has.
        """
        try:
            written = self._server.ask(self._writing(line, self._copy.incarnation))
        except Overtaken as error:
            raise Behind from error
        try:
            self._copy.take(written)
        except Gap as error:  # it is written; what else there is comes with the next look
            raise Behind from error

    def _writing(self, line: Line, incarnation: str) -> Callable[[Any], list[Line]]:
        def write(client: Any) -> list[Line]:
            with client.pipeline() as asked:
                asked.watch(self._meta)
                if _top(asked.hmget(self._meta, _FIELDS)) != (incarnation, line.version - 1, line.parent):
                    raise Overtaken
                asked.multi()
                asked.hset(self._meta, mapping={"version": line.version, "token": line.token})
                table = self._hijacks if line.kind == CHANGE else self._switches
                for one in line.entries:
                    if one.after is not None:
                        asked.hset(table, one.hijack, as_json(one.after))
                        continue
                    asked.hdel(table, one.hijack)
                    if line.kind == CHANGE:
                        asked.hdel(self._digests, one.hijack)
                asked.publish(self.channel, "log")
                return self._with_line(asked, line)

        return write

    def _tell(self, line: Line) -> None:
        """Write a line that makes no version."""

        def write(client: Any) -> list[Line]:
            with client.pipeline() as asked:
                for hijack, digests in line.digests.items():
                    asked.hset(self._digests, hijack, as_json(digests))
                asked.publish(self.channel, "log")
                return self._with_line(asked, line)

        if not self._copy.incarnation:
            self.catch_up()
        try:
            self._copy.take(self._server.ask(write))
        except (Gap, Unreadable):
            return  # it is written; the next look finds out what is amiss

    def _with_line(self, asked: Any, line: Line) -> list[Line]:
        """Send what is asked together with a line; return what the log has from where we are."""
        asked.xadd(self._lines, line.fields(), maxlen=MOST_LOGGED, approximate=True)
        asked.xrange(self._lines, self._next(), "+")
        return [read_line(*one) for one in asked.execute()[-1]]

    def _next(self) -> str:
        return f"({self._copy.position}" if self._copy.position else "-"


def _top(found: Sequence[bytes | None]) -> _Top | None:
    incarnation, version, token = found
    if incarnation is None or version is None or token is None:
        return None
    if not version.isdigit():
        raise Unreadable("the fleet's version cannot be read")
    return _Top(incarnation.decode(), int(version), token.decode())


def _texts(found: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in found.items()}


def _digests(text: str) -> dict[str, str]:
    try:
        return read_digests({"": orjson.loads(text)})[""]
    except ValueError:
        return {}


def _readable(found: tuple[bytes, Mapping[bytes, bytes]]) -> Line | None:
    try:
        return read_line(*found)
    except Unreadable:
        return None
