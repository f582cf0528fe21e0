"""What the cache of one function holds: keys of calls, results in and out, and what is counted of both."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from mystic_agent.cache.frozen import ENTRY_BYTES, copied, frozen, reraisable, transient, weight
from mystic_agent.cache.key import Unkeyable, canonical
from mystic_agent.cache.memory import Entry, Fast, Memory
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.outcome import BYPASS, KEPT_OUT
from mystic_agent.guard import FAULTS
from mystic_agent.strategies import Subject
from mystic_agent.strategies.decision import Decision
from mystic_agent.strategies.identity import identity
from mystic_agent.strategies.kept import kept
from mystic_agent.strategies.varying import parts

_FAST = frozenset({int, str, bool, type(None)})  # without bytes, whose hash costs a trampoline as much as they are long
LONGEST_FAST = 4096
MOST_REASONS = 50


class Served(NamedTuple):
    """A kept outcome on its way to one caller.

    Attributes:
        value: what is returned, or the exception that is raised when ``failed``.
    """

    value: Any
    failed: bool = False


class Results:
    """Keys and kept results of one function.

    Attributes:
        memory: the kept results; the trampoline reads ``memory.kinds``.
        keyed: positions of the parameters that are in the key.
        fast: whether trampolines may look calls up by themselves.
    """

    def __init__(self, subject: Subject, options: Mapping[str, Any]) -> None:
        # Functions of one name and code may still be several, when each has a closure of its own.
        closure = tuple(map(id, subject.function.__closure__ or ()))
        self.memory = kept(
            subject, "cache", options, lambda: Memory(options["max_bytes"], options["max_entries"]), closure
        )
        self.subject = subject
        self.ttl_ns = round(options["ttl"] * 1e9)
        self.stale_ns = round(options["stale"] * 1e9)
        self.copy: str = options["copy"]
        self.identity: tuple[str, ...] = options["identity"]
        self.vary = parts(subject, options)
        names = subject.parameters
        self.keyed = tuple(i for i, name in enumerate(names) if name not in options["ignore"])
        self.method = names[:1] == ("self",) and 0 in self.keyed
        starred = {subject.star, subject.double_star} & set(self.keyed)
        self.fast = bool(self.keyed) and not (starred or self.method or self.vary)
        self._reasons: dict[tuple[str, str], Decision] = {}

    def count(self, outcome: str, reason: str) -> None:
        """Count ``bypass`` or ``kept_out`` with the reason."""
        if (outcome, reason) not in self._reasons and len(self._reasons) >= MOST_REASONS:
            reason = "other"
        decision = self._reasons.get((outcome, reason))
        if decision is None:
            decision = self._reasons[outcome, reason] = Decision(self.subject, "cache", outcome, reason)
        decision()

    def look(self, values: tuple[Any, ...]) -> tuple[Hashable | None, Entry | None]:
        """Return (key, entry): the key is None when the call bypasses the cache, which has then been counted."""
        try:
            key = self.key(values)
        except Unkeyable as why:
            self.subject.guard.run("cache.count", self.count, None, BYPASS, why.reason)
            return None, None
        except FAULTS as error:  # a property on the way to what it varies by, or ours
            self.subject.guard.run("cache.count", self.count, None, BYPASS, f"key failed: {type(error).__name__}")
            return None, None
        return key, self.memory.find(key)

    def key(self, values: tuple[Any, ...]) -> Hashable:
        """Return the canonical key of a call; the first argument of a method by its declared identity.

        Raises:
            Unkeyable: with the reason that is counted.
        """
        said = [values[i] for i in self.keyed]
        if self.method and self.identity:
            said[0] = (type(said[0]), identity(said[0], self.identity))
        if self.vary:
            said.extend([part(values) for part in self.vary])
        return _flat(said) or canonical(tuple(said))

    def serve(self, key: Hashable, entry: Entry) -> Served | None:
        """Return what one caller gets of ``entry``; None when it cannot be copied any more, and is forgotten."""
        try:
            if entry.failed:
                return Served(reraisable(entry.value), True)
            return Served(entry.value if entry.shared else copied(entry.value))
        except FAULTS:
            self.memory.remove(key)
            return None

    def keep(self, key: Hashable, values: tuple[Any, ...], value: Any, left_ns: int | None = None) -> bool:
        """Keep a result for ``left_ns``, or its whole time; False, counted, when it cannot be."""
        reason = transient(value)
        shared = not reason and (self.copy == "never" or (self.copy == "auto" and frozen(value)))
        mine = value
        if not reason and not shared:
            try:
                mine = copied(value)
            except FAULTS:  # locks and sockets inside it, or a type that does not want to be copied
                reason = f"result of type {type(value).__qualname__} cannot be copied"
        if reason:
            self.count(KEPT_OUT, reason[:200])
            return False
        fast = self._fast(values) if shared else None
        return self._put(key, mine, False, shared, fast, self.ttl_ns if left_ns is None else left_ns)

    def keep_failure(self, key: Hashable, error: Exception) -> None:
        """Keep an exception: a copy of it, without the frames it came through and what they hold."""
        try:
            mine = reraisable(error)
        except FAULTS:
            self.count(KEPT_OUT, f"exception of type {type(error).__qualname__} cannot be copied"[:200])
            return
        self._put(key, mine, True, False, None, self.ttl_ns)

    def _put(self, key: Hashable, value: Any, failed: bool, shared: bool, fast: Fast | None, left_ns: int) -> bool:
        expires = self.memory.clock() + left_ns
        stale = 0 if failed else expires + self.stale_ns
        size = weight(value) + weight(key) + ENTRY_BYTES
        if self.memory.put(key, Entry(expires, value, failed, shared, size, fast, stale)):
            return True
        self.count(KEPT_OUT, "result larger than max_bytes")
        return False

    def _fast(self, values: tuple[Any, ...]) -> Fast | None:
        """Return how the trampoline finds this call, when all its arguments are simple and short."""
        if not self.fast:
            return None
        said = tuple(values[i] for i in self.keyed)
        kinds: tuple[Any, ...] = tuple(map(type, said))
        if not _FAST.issuperset(kinds) or any(type(one) is str and len(one) > LONGEST_FAST for one in said):
            return None
        if len(said) == 1:
            return kinds[0], said[0]
        return kinds, said


def _flat(said: list[Any]) -> Hashable:
    """Return the key of a call with simple, short arguments only, at a third of what ``canonical`` takes; else None.

    It begins with a text, where what ``canonical`` makes of a call begins with a type.
    """
    kinds = []
    for one in said:
        kind = type(one)
        if kind is str:
            if len(one) > LONGEST_FAST:
                return None
        elif not (kind is int or kind is bool or one is None):
            return None
        kinds.append(kind)
    return ("flat", *kinds, *said)
