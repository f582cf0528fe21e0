"""Where a caller falls on the line from 0 to 1: always the same place, in every process, by a key in its arguments.

The key is read by a path of names and positions (see ``reading``). Its place is a hash; a share covers the line from 0,
so that a growing share takes callers in and lets none go.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from mystic_agent.contract.path import parse_path
from mystic_agent.strategies import Subject
from mystic_agent.strategies.alternative import Choice
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.reading import Reading, Unreadable

_LINE = 1 << 64


class Sticky:
    """Decides by the key of a call.

    Args:
        subject: the function.
        options: ``key``, where the key is, e.g. ``request.user.id``; ``share``, of the line that is covered; ``salt``,
            callers fall otherwise for another; the function's name when empty.

    Attributes:
        problem: why the key cannot be read on this function; empty when it can.
    """

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        self._path: str = options["key"]
        self._reading = Reading(subject, parse_path(self._path, "key"), self._path)
        self.problem = f"key {self._reading.problem}" if self._reading.problem else ""
        salted = (options["salt"] or subject.name).encode("utf-8", "surrogatepass")
        self._before = len(salted).to_bytes(4, "big") + salted
        self._covered: int = round(options["share"] * _LINE)

    def covers(self, values: tuple[Any, ...]) -> bool:
        """True when the caller falls into the share.

        Raises:
            Unreadable: when the arguments hold no key.
        """
        key = _text(self._reading.read(values), self._path).encode("utf-8", "surrogatepass")
        digest = blake2b(self._before + key, digest_size=8).digest()
        return int.from_bytes(digest, "big") < self._covered


def refuse(subject: Subject, strategy: str, options: Mapping[str, Any]) -> str:
    """Return why callers cannot be known by the option ``key``, or an empty text; also when there is none."""
    problem = Sticky(subject, options).problem if options["key"] else ""
    return f"{strategy}.{problem}" if problem else ""


def by_key(subject: Subject, strategy: str, options: Mapping[str, Any], old: str, new: str) -> Choice:
    """Return what sends the callers in the share to the other implementation, counted as ``new``."""
    sticky = Sticky(subject, options)
    stays, goes = (False, Decision(subject, strategy, old)), (True, Decision(subject, strategy, new))

    def choose(values: tuple[Any, ...]) -> tuple[bool, Decision]:
        try:
            return goes if sticky.covers(values) else stays
        except Unreadable as why:
            return False, Decision(subject, strategy, old, why.reason)

    return choose


def _text(value: Any, path: str) -> str:
    """Return the same text for the same key in every process; only plain values are keys."""
    if isinstance(value, str):
        return "str:" + str.__str__(value)
    if isinstance(value, bool):
        return f"bool:{value}"
    if isinstance(value, int):
        return "int:" + int.__repr__(value)
    if isinstance(value, bytes):
        return "bytes:" + bytes.hex(value)
    if type(value).__module__ == "uuid" and type(value).__qualname__ == "UUID":
        return f"uuid:{value.int}"
    raise Unreadable(f"{path} is None" if value is None else f"{path} is a {type(value).__qualname__}")
