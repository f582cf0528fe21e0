"""The fleet's log, line by line, as it lies at the server. Law: pure; what a server gives is validated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from mystic_collector.hijacks.journal import Entry

CHANGE, SWITCH, DENIED, DIGESTS, PAST = "change", "switch", "denied", "digests", "past"
KINDS = (CHANGE, SWITCH, DENIED, DIGESTS, PAST)
NEW_VERSION = (CHANGE, SWITCH)
_TYPES: tuple[tuple[type, ...], ...] = (
    (int, float),
    (int,),
    (str,),
    (str,),
    (str,),
    (dict, type(None)),
    (dict, type(None)),
    (str,),
)


class Unreadable(ValueError):
    """A line of the log, or the state beside it, is not in the form that this release writes."""


class Line(NamedTuple):
    """One line.

    Attributes:
        kind: one of KINDS. ``past``: from before the server had a log, for the audit of those that come later.
        version: of the set from then on, for ``change`` and ``switch``.
        token: names this version among others of the same number.
        parent: the token of the version before.
        entries: lines of the audit.
        digests: hijack → function → digest of its source.
        position: where it lies in the log; empty before it lies there.
    """

    kind: str
    version: int = 0
    token: str = ""
    parent: str = ""
    entries: tuple[Entry, ...] = ()
    digests: Mapping[str, Mapping[str, str]] = {}
    position: str = ""

    def fields(self) -> dict[str, str | bytes]:
        """Return the wire form."""
        body: Any = dict(self.digests) if self.kind == DIGESTS else [list(one) for one in self.entries]
        numbers = {"version": str(self.version), "token": self.token, "parent": self.parent}
        return {"kind": self.kind, **numbers, "body": orjson.dumps(body)}


def read_line(position: bytes, fields: Mapping[bytes, bytes]) -> Line:
    """Read the wire form.

    Raises:
        Unreadable: when it is not one.
    """
    try:
        texts = {name.decode(): value for name, value in fields.items()}
        kind, body = texts["kind"].decode(), orjson.loads(texts["body"])
        version, token, parent = int(texts["version"]), texts["token"].decode(), texts["parent"].decode()
    except (KeyError, ValueError) as error:
        raise Unreadable("a line of the fleet's log cannot be read") from error
    if kind not in KINDS:
        raise Unreadable(f"a line of the fleet's log is of the unknown kind {kind[:40]!r}")
    place = position.decode()
    if kind == DIGESTS:
        return Line(kind, version, token, parent, (), read_digests(body), place)
    if not isinstance(body, list):
        raise Unreadable("a line of the fleet's log has no entries")
    return Line(kind, version, token, parent, tuple(_entry(one) for one in body), {}, place)


def read_digests(value: Any) -> dict[str, dict[str, str]]:
    """Return hijack → function → digest.

    Raises:
        Unreadable: when it is something else.
    """
    if not isinstance(value, dict):
        raise Unreadable("digests of the fleet cannot be read")
    for found in value.values():
        if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
            raise Unreadable("digests of the fleet cannot be read")
    return value


def past(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Return lines of an audit, oldest first, as lines of the log."""
    return [Line(PAST, entries=(Entry(**{name: row[name] for name in Entry._fields}),)) for row in rows]


def _entry(value: Any) -> Entry:
    right = isinstance(value, list) and len(value) == len(_TYPES)
    if right and all(isinstance(one, kinds) for one, kinds in zip(value, _TYPES, strict=True)):
        return Entry(*value)
    raise Unreadable("an entry of the fleet's log cannot be read")
