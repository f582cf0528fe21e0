"""Values as bytes that any process can read back, exactly as they were, without running any code.

The bytes are JSON. None, booleans, texts, lists, dicts with text keys, and the usual numbers are themselves, so that
what another program wrote as plain JSON can be read as well. Everything else is an object whose only key is the empty
text: ``{"": ["tuple", 1, 2]}``. Only exact types of the standard library are known; subclasses are refused, because
reading one back would take their code. 1, 1.0 and True stay what they are, and so do -0.0, nan and lone surrogates.
"""

from __future__ import annotations

import sys
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from math import isfinite
from typing import Any

from mystic_agent.contract.errors import Invalid

DEEPEST = 64
LONGEST_BYTES = 4 * 2**20
MOST_HASHED = 20_000  # parts of sets and keys of dicts that are not text: only the hash of text is keyed

_TAG = ""
_WIDEST = 63  # bits of a number that is written in digits
_REMEDY = "give bytes that encode() of this version has made"


class Unencodable(Exception):
    """A value that has no such form.

    Attributes:
        reason: short, of few distinct values, e.g. ``app.models.User``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason[:200]


def encode(value: object, most: int = LONGEST_BYTES) -> bytes:
    """Return ``value`` as bytes.

    Args:
        value: None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, datetime,
            date, time, timedelta, Decimal or UUID, and any nesting of them.
        most: bytes that may come out.

    Raises:
        Unencodable: for any other type, more than DEEPEST levels, or more than ``most`` bytes.
    """
    import json

    try:
        data = json.dumps(_Writer(most).write(value, 0), separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise Unencodable("value nested too deep") from None
    if len(data) > most:
        raise Unencodable(f"value of more than {most} bytes")
    return data


def decode(data: bytes, most: int = LONGEST_BYTES) -> object:
    """Return the value that ``data`` stands for.

    Raises:
        Invalid: when :func:`encode` cannot have made it.
    """
    import json

    if type(data) is not bytes or len(data) > most:
        raise Invalid("data", type(data).__name__, f"give at most {most} bytes")
    try:
        return _Reader().read(json.loads(data, parse_constant=_refuse), 0)
    except Invalid:
        raise
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RecursionError) as error:
        raise Invalid("data", data[:40], f"{_REMEDY} ({type(error).__name__})") from None


def _refuse(constant: str) -> object:
    raise ValueError(constant)


# -- writing -----------------------------------------------------------------------------------------------------


class _Writer:
    """One value on its way to JSON, with the room that is left."""

    __slots__ = ("hashed", "left", "most")

    def __init__(self, most: int) -> None:
        self.most = self.left = most
        self.hashed = MOST_HASHED

    def write(self, value: Any, depth: int) -> Any:
        self.take(1)
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        if kind is str:
            self.take(len(value))
            return value if value.isascii() or not _surrogates(value) else _tag("text", _hex(value))
        if kind is int:
            return value if value.bit_length() <= _WIDEST else self.wide(value)
        if kind is float:
            return value if isfinite(value) else _tag("float", repr(value))
        if depth >= DEEPEST:
            raise Unencodable("value nested too deep")
        if kind is list:
            return [self.write(item, depth + 1) for item in value]
        if kind is dict:
            return self.mapping(value, depth + 1)
        if kind is tuple:
            return _tag("tuple", *(self.write(item, depth + 1) for item in value))
        if kind is set or kind is frozenset:
            self.hash(len(value))
            return _tag(kind.__name__, *(self.write(item, depth + 1) for item in value))
        return self.other(value, kind)

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        if _TAG not in value and all(type(key) is str and not _surrogates(key) for key in value):
            for key in value:
                self.take(len(key) + 3)
            return {key: self.write(item, depth) for key, item in value.items()}
        self.hash(len(value))
        return _tag("dict", *(self.write(part, depth) for pair in value.items() for part in pair))

    def other(self, value: Any, kind: type) -> Any:
        if kind is bytes or kind is bytearray:
            self.take(len(value) * 4 // 3)
            return _tag(kind.__name__, b2a_base64(value, newline=False).decode())
        if kind is complex:
            return _tag("complex", value.real.hex(), value.imag.hex())
        name = (kind.__module__, kind.__qualname__)
        write = _WRITERS.get(name)
        if write is None or getattr(sys.modules.get(name[0]), name[1], None) is not kind:
            raise Unencodable(f"value of type {kind.__module__}.{kind.__qualname__}")
        return _tag(kind.__name__, *write(value))

    def wide(self, value: int) -> Any:
        self.take(value.bit_length() // 4)
        return _tag("int", hex(value))

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Unencodable(f"value of more than {self.most} bytes")

    def hash(self, parts: int) -> None:
        self.hashed -= parts
        if self.hashed < 0:
            raise Unencodable(f"value with more than {MOST_HASHED} parts in sets, or keys that are not text")


def _tag(name: str, *parts: Any) -> dict[str, Any]:
    return {_TAG: [name, *parts]}


def _surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _hex(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").hex()


def _offset(value: Any) -> int | None:
    """Return the microseconds east of UTC of a moment with a fixed, unnamed offset."""
    zone = value.tzinfo
    if zone is None:
        return None
    from datetime import timedelta, timezone

    if type(zone) is not timezone or zone.tzname(None) != timezone(zone.utcoffset(None)).tzname(None):
        raise Unencodable(f"value with a time zone of type {type(zone).__module__}.{type(zone).__qualname__}")
    return zone.utcoffset(None) // timedelta(microseconds=1)


def _clock(value: Any) -> tuple[Any, ...]:
    return (value.hour, value.minute, value.second, value.microsecond, value.fold, _offset(value))


_WRITERS: dict[tuple[str, str], Callable[[Any], tuple[Any, ...]]] = {
    ("datetime", "date"): lambda v: (v.year, v.month, v.day),
    ("datetime", "datetime"): lambda v: (v.year, v.month, v.day, *_clock(v)),
    ("datetime", "time"): _clock,
    ("datetime", "timedelta"): lambda v: (v.days, v.seconds, v.microseconds),
    ("decimal", "Decimal"): lambda v: (str(v),),
    ("uuid", "UUID"): lambda v: (hex(v.int),),
}


# -- reading -----------------------------------------------------------------------------------------------------


class _Reader:
    __slots__ = ("hashed",)

    def __init__(self) -> None:
        self.hashed = MOST_HASHED

    def read(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is dict:
            if _TAG in value:
                return self.tagged(value, depth)
            return {key: self.read(item, self.deeper(depth)) for key, item in value.items()}
        if kind is list:
            return [self.read(item, self.deeper(depth)) for item in value]
        if (kind is float and not isfinite(value)) or (kind is int and value.bit_length() > _WIDEST):
            raise Invalid("data", "number", _REMEDY)
        return value

    def tagged(self, value: dict[str, Any], depth: int) -> Any:
        parts = value[_TAG]
        if len(value) != 1 or type(parts) is not list or not parts or type(parts[0]) is not str:
            raise Invalid("data", "tag", _REMEDY)
        name, *rest = parts
        if name not in _CONTAINERS:
            if name not in _READERS:
                raise Invalid("data", name, _REMEDY)
            return _READERS[name](*rest)
        inner = self.deeper(depth)
        if name != "tuple":
            self.hashed -= len(rest) // 2 if name == "dict" else len(rest)
            if self.hashed < 0:
                raise Invalid("data", name, _REMEDY)
        return _CONTAINERS[name]([self.read(part, inner) for part in rest])

    def deeper(self, depth: int) -> int:
        if depth >= DEEPEST:
            raise Invalid("data", "nesting", _REMEDY)
        return depth + 1


def _pairs(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _number(text: str) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError(text)
    return float(text)


def _zone(offset: int | None) -> Any:
    from datetime import timedelta, timezone

    return None if offset is None else timezone(timedelta(microseconds=offset))


def _date(year: int, month: int, day: int) -> Any:
    from datetime import date

    return date(year, month, day)


def _datetime(*parts: Any) -> Any:
    from datetime import datetime

    year, month, day, hour, minute, second, microsecond, fold, offset = parts
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=_zone(offset), fold=fold)


def _time(hour: int, minute: int, second: int, microsecond: int, fold: int, offset: int | None) -> Any:
    from datetime import time

    return time(hour, minute, second, microsecond, tzinfo=_zone(offset), fold=fold)


def _timedelta(days: int, seconds: int, microseconds: int) -> Any:
    from datetime import timedelta

    return timedelta(days, seconds, microseconds)


def _decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(_text(text))


def _uuid(text: str) -> Any:
    from uuid import UUID

    return UUID(int=int(text, 16))


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(type(value).__name__)
    return value


_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": _pairs,
}
_READERS: dict[str, Callable[..., Any]] = {
    "int": lambda text: int(text, 16),
    "float": _number,
    "complex": lambda real, imaginary: complex(float.fromhex(real), float.fromhex(imaginary)),
    "text": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    "bytes": lambda text: a2b_base64(_text(text), strict_mode=True),
    "bytearray": lambda text: bytearray(a2b_base64(_text(text), strict_mode=True)),
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "timedelta": _timedelta,
    "Decimal": _decimal,
    "UUID": _uuid,
}
