"""What a function had counted at the moment the hijacks in force on it changed, in one process.

Marks divide the figures of a function, which only ever grow, into what it did before a hijack and what it did under
it, exact to the call: a call that is under way at that moment counts to what comes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple

MOST_MARKS = 16
"""Of one function in one report; an agent keeps the newest."""

MOST_BUCKETS = 64
MOST_DECISIONS = 64
_LARGEST = 2**63 - 1
_LONGEST = 200
_COUNTS = ("number", "at_ns", "untimed", "errors", "total_ns")


class Mark(NamedTuple):
    """One change of what is in force on one function, and what the function had counted until then.

    Attributes:
        number: of the changes of this function in this process, from 0; a gap shows that marks were lost.
        at_ns: Unix nanoseconds.
        version: registry version that brought the change; -1 when none was known yet.
        hijacks: ids in force from now on.
        strategies: their strategies, outermost first, ``observe`` left out.
        buckets: timed calls so far: ``buckets[b]`` lasted 2**(b-1) <= ns < 2**b; shortened from the right.
        untimed: calls so far that were counted and not timed.
        errors: calls so far that ended in an Exception.
        total_ns: sum of the durations so far.
        decisions: ``"strategy/decision"`` → how often so far, all reasons together.
    """

    number: int
    at_ns: int
    version: int
    hijacks: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    buckets: tuple[int, ...] = ()
    untimed: int = 0
    errors: int = 0
    total_ns: int = 0
    decisions: Mapping[str, int] = MappingProxyType({})

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {
            "number": self.number,
            "at_ns": self.at_ns,
            "version": self.version,
            "hijacks": list(self.hijacks),
            "strategies": list(self.strategies),
            "buckets": list(self.buckets),
            "untimed": self.untimed,
            "errors": self.errors,
            "total_ns": self.total_ns,
            "decisions": dict(self.decisions),
        }


def parse_marks(value: object, name: str) -> tuple[Mark, ...]:
    """Read the marks of one function.

    Raises:
        Invalid: naming the first field below ``name`` that is wrong.
    """
    if not isinstance(value, list) or len(value) > MOST_MARKS:
        raise Invalid(name, type(value).__name__, f"give a list of at most {MOST_MARKS} marks")
    return tuple(_parse(one, f"{name}[{position}]") for position, one in enumerate(value))


def _parse(value: object, name: str) -> Mark:
    if not isinstance(value, Mapping):
        raise Invalid(name, value, "give an object")
    version = value.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or not -1 <= version <= _LARGEST:
        raise Invalid(f"{name}.version", version, "give a whole number from -1")
    decisions = value.get("decisions", {})
    if not isinstance(decisions, Mapping) or len(decisions) > MOST_DECISIONS:
        raise Invalid(f"{name}.decisions", type(decisions).__name__, f"give at most {MOST_DECISIONS} decisions")
    buckets = value.get("buckets", [])
    if not isinstance(buckets, list) or len(buckets) > MOST_BUCKETS:
        raise Invalid(f"{name}.buckets", type(buckets).__name__, f"give at most {MOST_BUCKETS} counts")
    return Mark(
        **{key: _count(value.get(key, 0), f"{name}.{key}") for key in _COUNTS},
        version=version,
        hijacks=_names(value.get("hijacks", []), f"{name}.hijacks"),
        strategies=_names(value.get("strategies", []), f"{name}.strategies"),
        buckets=tuple(_count(one, f"{name}.buckets") for one in buckets),
        decisions={_name(key, f"{name}.decisions"): _count(n, f"{name}.decisions") for key, n in decisions.items()},
    )


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise Invalid(name, value, "give a whole number from 0 to 2**63 - 1")
    return value


def _name(value: object, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST or not value.isprintable():
        raise Invalid(name, value, f"give printable text of 1 to {_LONGEST} characters")
    return value


def _names(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _LONGEST:
        raise Invalid(name, type(value).__name__, f"give a list of at most {_LONGEST} names")
    return tuple(_name(one, name) for one in value)
