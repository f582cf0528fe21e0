"""The strategies a hijack may name, and what each of their options may be.

The table is the single source: both sides validate against it, the API describes it, and the
agent's strategy files read the values it has already made sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how to read it, what it is when absent, and one line for people."""

    read: Callable[[object, str], Any]
    default: Any
    help: str


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A validated strategy of a hijack: its name and complete, typed options."""

    name: str
    options: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the wire form ``{name: {option: value}}``."""
        return {self.name: dict(self.options)}


def _flag(value: object, field: str) -> bool:
    if isinstance(value, bool):
        return value
    raise Invalid(field, value, "give true or false")


def _whole(low: int, high: int) -> Callable[[object, str], int]:
    def read(value: object, field: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise Invalid(field, value, f"give a whole number from {low} to {high}")

    return read


def _share(value: object, field: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise Invalid(field, value, "give a share from 0 to 1")


def _choice(*allowed: str) -> Callable[[object, str], str]:
    def read(value: object, field: str) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise Invalid(field, value, f"give one of {', '.join(allowed)}")

    return read


def _size(value: object, field: str) -> int:
    units = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
    if isinstance(value, str):
        text = value.strip().lower()
        digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
        unit = units.get(text[len(digits) :].strip() or "b", 1 if text[len(digits) :].strip() in ("", "b") else 0)
        value = int(digits) * unit if digits.isdigit() and unit else value
    if isinstance(value, int) and not isinstance(value, bool) and 1024 <= value <= 2**40:
        return value
    raise Invalid(field, value, "give bytes from 1024, or a text such as '64MiB'")


def _names(value: object, field: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    if isinstance(value, (list, tuple)) and all(isinstance(v, str) and v.isidentifier() for v in value):
        return tuple(value)
    raise Invalid(field, value, 'give a list of names, such as ["self"] or "self, other"')


STRATEGIES: dict[str, dict[str, Option]] = {
    "observe": {},
    "log": {
        "args": Option(_flag, True, "log the arguments, redacted"),
        "result": Option(_flag, False, "log the result, redacted"),
        "level": Option(_choice("debug", "info", "warning", "error"), "info", "level in the application's logging"),
        "sample": Option(_share, 1.0, "share of calls that are logged"),
        "depth": Option(_whole(0, 10), 3, "how deep containers are shown"),
        "length": Option(_whole(16, 65536), 500, "characters of one value"),
        "redact": Option(_names, (), "further names whose values never leave"),
    },
    "cache": {
        "ttl": Option(seconds, 60.0, "how long a result is served, from the moment it was computed"),
        "max_bytes": Option(_size, 64 * 2**20, "estimated bytes kept in one process; least recently stored go first"),
        "max_entries": Option(_whole(1, 10_000_000), 100_000, "results kept in one process"),
        "ignore": Option(_names, (), "arguments left out of the key, e.g. self"),
        "identity": Option(_names, (), "attributes of self that stand for it in the key"),
        "copy": Option(_choice("auto", "never", "deep"), "auto", "auto copies mutable results on the way out"),
        "exceptions": Option(_flag, False, "also keep exceptions"),
    },
}


def parse_strategy(value: object, field: str) -> StrategySpec:
    """Read ``{"cache": {"ttl": "30s"}}`` or the bare name ``"observe"``.

    Raises:
        Invalid: for an unknown strategy or option, or a value out of range; the message lists what is known.
    """
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, Mapping) or len(value) != 1:
        raise Invalid(field, value, 'give one strategy with its options, e.g. {"cache": {"ttl": "30s"}}')
    [(name, given)] = value.items()
    known = STRATEGIES.get(name) if isinstance(name, str) else None
    if known is None:
        raise Invalid(field, name, f"unknown strategy; known are {', '.join(sorted(STRATEGIES))}")
    if given is None or given is True:
        given = {}
    if not isinstance(given, Mapping):
        raise Invalid(f"{field}.{name}", given, "give the options as an object")
    for key in given:
        if key not in known:
            raise Invalid(f"{field}.{name}", key, f"unknown option; known are {', '.join(sorted(known)) or 'none'}")
    options = {
        key: option.read(given[key], f"{field}.{name}.{key}") if key in given else option.default
        for key, option in known.items()
    }
    return StrategySpec(str(name), options)
