"""Keys of calls that mean the same in every process: digests of the arguments, under the laws of the cache's keys."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from hashlib import blake2b
from typing import Any

from mystic_agent.cache.key import Unkeyable, canonical
from mystic_agent.cache.portable import portable
from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Subject
from mystic_agent.strategies.identity import identity

MOST_KNOWN, LONGEST_KNOWN, LARGEST_KNOWN = 1000, 200, 2**64


def refuse(subject: Subject, strategy: str, options: Mapping[str, Any]) -> str:
    """Return why keys cannot be made as the options ``ignore`` and ``identity`` say, or an empty text."""
    if unknown := subject.unknown(f"{strategy}.ignore", options["ignore"]):
        return unknown
    if options["identity"] and subject.parameters[:1] not in (("self",), ("cls",)):
        return f"{strategy}.identity is for methods; this function has no self"
    return ""


class Keyed:
    """Makes the keys of one function.

    Args:
        subject: the function.
        options: ``ignore``, parameters that are left out, and ``identity``, attributes that stand for self.
    """

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        names = subject.parameters
        self._used = tuple(i for i, name in enumerate(names) if name not in options["ignore"])
        self._identity: tuple[str, ...] = options["identity"] if 0 in self._used else ()
        self._known: dict[Hashable, str] = {}

    def digest(self, values: tuple[Any, ...]) -> str:
        """Return the key of a call.

        Raises:
            Unkeyable: with the reason that is counted.
        """
        said = [values[i] for i in self._used]
        if not self._identity and (plain := _plain(said)) is not None:
            return self._known.get(plain) or self._learn(plain, said)
        try:
            if self._identity:
                said[0] = (type(said[0]), identity(said[0], self._identity))
            return _digest(said)
        except Unkeyable:
            raise
        except (*FAULTS, SystemExit):  # of a class that lies about itself, or whose own class runs code
            raise Unkeyable("argument that cannot be looked at") from None

    def _learn(self, plain: Hashable, said: list[Any]) -> str:
        """Remember a key: calls repeat, and making it takes ten times as long as finding it."""
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        made = self._known[plain] = _digest(said)
        return made


def _digest(said: list[Any]) -> str:
    return blake2b(portable(canonical(tuple(said))), digest_size=32).hexdigest()


def _plain(said: list[Any]) -> Hashable:
    """Return what tells calls with numbers and short texts alone apart, types included; else None."""
    for one in said:
        kind = type(one)
        small = -LARGEST_KNOWN < one < LARGEST_KNOWN if kind is int else kind is bool or one is None
        if not (small or (kind is str and len(one) <= LONGEST_KNOWN)):
            return None
    return (*map(type, said), *said)
