"""How the options of strategies are read: one reader for each shape, each with a remedy for what it refuses.

A reader takes what came over the wire and the path of its field, and returns the sound value; it accepts what it
has returned before, so that a validated strategy can be sent on and read again.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from mystic_agent.contract.duration import seconds
from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.path import parse_path
from mystic_agent.contract.pattern import pattern
from mystic_agent.contract.place import parse_place
from mystic_agent.contract.target import parse_target

Reader = Callable[[object, str], Any]

MOST_PARTS = 10_000
LONGEST_TEXT = 100_000
DEEPEST = 32
MOST_NAMES = 50
MOST_STEPS = 1000
_DOTTED = pattern(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?")
_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_INSIDE = pattern(r"[^.\s]+(?:\.[^.\s]+)*")
_PERCENT = pattern(r"(\d{1,3}(?:\.\d{1,9})?)\s*%")


class Option(NamedTuple):
    """One option: how to read it, what it is when absent, and one line for people."""

    read: Reader
    default: Any
    help: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts it may be, where these are few; empty where it may be anything that its reader takes."""
        return self.read.allowed if isinstance(self.read, Choice) else ()


class Choice:
    """Reads one of a few texts."""

    __slots__ = ("allowed",)

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def __call__(self, value: object, field: str) -> str:
        """Return ``value`` where it is allowed."""
        if isinstance(value, str) and value in self.allowed:
            return value
        raise Invalid(field, value, f"give one of {', '.join(self.allowed)}")


def flag(value: object, field: str) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    raise Invalid(field, value, "give true or false")


def whole(low: int, high: int) -> Callable[[object, str], int]:
    """Return a reader of whole numbers."""

    def read(value: object, field: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise Invalid(field, value, f"give a whole number from {low} to {high}")

    return read


def number(low: float, high: float) -> Callable[[object, str], float]:
    """Return a reader of numbers above ``low``, up to ``high``."""

    def read(value: object, field: str) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and low < value <= high:
            return float(value)
        raise Invalid(field, value, f"give a number above {low:g}, at most {high:g}")

    return read


def amount(high: float) -> Callable[[object, str], float]:
    """Return a reader of numbers from 0 to ``high``."""

    def read(value: object, field: str) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= high:
            return float(value)
        raise Invalid(field, value, f"give a number from 0 to {high:g}")

    return read


def share(value: object, field: str) -> float:
    """Read a share: 0.2, or the text ``20%``."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
        value = float(match[1]) / 100
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise Invalid(field, value, "give a share from 0 to 1, or a percentage such as '20%'")


def choice(*allowed: str) -> Choice:
    """Return a reader of one of the texts ``allowed``."""
    return Choice(*allowed)


def size(value: object, field: str) -> int:
    """Read a number of bytes: 65536, ``64kb`` or ``64MiB``."""
    units = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
    if isinstance(value, str):
        text = value.strip().lower()
        digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
        unit = units.get(text[len(digits) :].strip() or "b", 1 if text[len(digits) :].strip() in ("", "b") else 0)
        value = int(digits) * unit if digits.isdigit() and unit else value
    if isinstance(value, int) and not isinstance(value, bool) and 1024 <= value <= 2**40:
        return value
    raise Invalid(field, value, "give bytes from 1024, or a text such as '64MiB'")


def names(value: object, field: str) -> tuple[str, ...]:
    """Read a list of identifiers, or a text with commas between them."""
    value = _listed(value)
    if isinstance(value, (list, tuple)) and all(isinstance(v, str) and v.isidentifier() for v in value):
        return tuple(value)
    raise Invalid(field, value, 'give a list of names, such as ["self"] or "self, other"')


def span(longest: float, *, zero: bool = True) -> Callable[[object, str], float]:
    """Return a reader of durations in seconds of at most ``longest``; 0 only where ``zero`` says so."""

    def read(value: object, field: str) -> float:
        if zero and not isinstance(value, bool) and value in (0, "0"):
            return 0.0
        amount = seconds(value, field)
        if amount > longest:
            raise Invalid(field, value, f"give at most {longest:g} seconds")
        return amount

    return read


def text(longest: int) -> Callable[[object, str], str]:
    """Return a reader of printable text."""

    def read(value: object, field: str) -> str:
        if isinstance(value, str) and len(value) <= longest and value.isprintable():
            return value
        raise Invalid(field, value, f"give printable text of at most {longest} characters")

    return read


def exception(value: object, field: str) -> str:
    """Read the name of a class of exceptions: a builtin one, or ``package.module.Name``; empty for none."""
    if value == "":
        return ""
    if not isinstance(value, str) or len(value) > 200 or not _DOTTED.fullmatch(value):
        raise Invalid(field, value, "name a class, such as 'TimeoutError' or 'app.errors.Refused'")
    if "." not in value and ":" not in value:
        found = getattr(builtins, value, None)
        if not isinstance(found, type) or not issubclass(found, Exception):
            raise Invalid(field, value, "give a builtin exception, or 'package.module.Name' for another")
    return value


def exceptions(value: object, field: str) -> tuple[str, ...]:
    """Read a list of such names, or a text with commas between them."""
    value = _listed(value)
    if not isinstance(value, (list, tuple)) or len(value) > MOST_NAMES or "" in value:
        raise Invalid(field, value, f'give a list of at most {MOST_NAMES} classes, such as ["ConnectionError"]')
    return tuple(exception(one, f"{field}[{i}]") for i, one in enumerate(value))


def function(value: object, field: str) -> str:
    """Read the name of one function, ``module:qualname`` without globs."""
    if value != "" and isinstance(value, str) and ":" in value:
        target = parse_target(value, field)
        if target.exact and "<" not in target.qualname:
            return value
    raise Invalid(field, value, "name one function as 'package.module:qualname', without globs")


def path(value: object, field: str) -> str:
    """Read a path to a value, such as ``user_id`` or ``request.user.id``; empty for none."""
    if value == "":
        return ""
    parse_path(value, field)
    assert isinstance(value, str)  # noqa: S101 -- parse_path has refused anything else
    return value


def places(value: object, field: str) -> tuple[str, ...]:
    """Read a list of places, such as ``request.user.id`` or ``contextvar:app.context:user``, or a text with commas."""
    value = _listed(value)
    if not isinstance(value, (list, tuple)) or len(value) > MOST_NAMES:
        raise Invalid(field, value, f'give a list of at most {MOST_NAMES} places, such as ["request.user.id"]')
    return tuple(parse_place(one, f"{field}[{i}]").text for i, one in enumerate(value))


def left_out(value: object, field: str) -> tuple[str, ...]:
    """Read a list of names of arguments, and of context-local variables such as ``contextvar:app.log:request_id``."""
    value = _listed(value)
    if not isinstance(value, (list, tuple)):
        return names(value, field)
    variables = [one for one in value if isinstance(one, str) and ":" in one]
    return (*names([one for one in value if one not in variables], field), *places(variables, field))


def data(value: object, field: str) -> Any:
    """Read a JSON value of bounded size."""
    _measure(value, field)
    return value


def fields(value: object, field: str) -> dict[str, Any]:
    """Read a JSON object of bounded size."""
    if not isinstance(value, Mapping):
        raise Invalid(field, value, 'give an object, such as {"limit": 3}')
    _measure(value, field)
    return dict(value)


def name(value: object, field: str) -> str:
    """Read the name that something goes by; empty for none."""
    if isinstance(value, str) and (value == "" or _NAME.fullmatch(value)):
        return value
    raise Invalid(field, value, "give a name of at most 64 letters, digits, dots, - and _")


def inside(value: object, field: str) -> tuple[str, ...]:
    """Read a list of places in a result, such as ``created_at`` or ``items.*.id``, or a text with commas."""
    value = _listed(value)
    if not isinstance(value, (list, tuple)) or len(value) > MOST_NAMES:
        value = [""]
    if all(isinstance(one, str) and len(one) <= 200 and _INSIDE.fullmatch(one) for one in value):
        return tuple(value)
    raise Invalid(field, value, 'give a list of names and positions with dots between, such as ["items.*.id"]')


def optional(read: Reader) -> Reader:
    """Return ``read`` that leaves None as it is."""
    return lambda value, field: None if value is None else read(value, field)


def items(value: object, field: str) -> tuple[Any, ...]:
    """Read a list of JSON values."""
    if not isinstance(value, (list, tuple)) or len(value) > MOST_STEPS:
        raise Invalid(field, value, f"give a list of at most {MOST_STEPS} values")
    _measure(value, field)
    return tuple(value)


def steps(value: object, field: str) -> tuple[Any, ...]:
    """Read a list of results, one a call: values, ``{"return": value}`` or ``{"raise": name, "message": text}``."""
    listed = items(value, field)
    if not listed:
        raise Invalid(field, value, 'give at least one result, e.g. [1, {"raise": "TimeoutError"}]')
    for i, step in enumerate(listed):
        if isinstance(step, Mapping) and "raise" in step:
            for key in step:
                if key not in ("raise", "message"):
                    raise Invalid(f"{field}[{i}]", key, 'write {"raise": name, "message": text}')
            if not exception(step["raise"], f"{field}[{i}].raise"):
                raise Invalid(f"{field}[{i}].raise", "", "name a class, such as 'TimeoutError'")
            text(500)(step.get("message", ""), f"{field}[{i}].message")
    return listed


def _listed(value: object) -> object:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value


def _measure(value: object, field: str) -> None:
    left, stack = MOST_PARTS, [(value, 0)]
    while stack:
        item, depth = stack.pop()
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise Invalid(field, type(value).__name__, f"give at most {MOST_PARTS} parts, nested {DEEPEST} deep")
        if item is None or isinstance(item, (bool, int)):
            continue
        if isinstance(item, float):
            if not isfinite(item):
                raise Invalid(field, item, "give a finite number")
        elif isinstance(item, str):
            if len(item) > LONGEST_TEXT:
                raise Invalid(field, item, f"give texts of at most {LONGEST_TEXT} characters")
        elif isinstance(item, (list, tuple)):
            stack.extend((one, depth + 1) for one in item)
        elif isinstance(item, Mapping) and all(isinstance(key, str) for key in item):
            stack.extend((one, depth + 1) for one in item.values())
        else:
            raise Invalid(field, item, "give a JSON value")
