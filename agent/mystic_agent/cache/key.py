"""Canonical, type-tagged keys: equal calls have equal keys, unequal calls have unequal ones.

1, 1.0 and True differ; 0.0 and -0.0 differ; the order of a dict's items and of a set's does not matter.
No method of a foreign type is called: only exact, known types are opened. Anything else raises Unkeyable,
so that the call bypasses the cache instead of risking a wrong value. Keys hold no reference to mutable
arguments, and hold identities only of classes and functions, so that a reused address cannot match.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from hashlib import blake2b
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

DEEPEST = 32
MOST_NODES = 20_000
LONGEST_BYTES = 64 * 2**20
_DIGEST_FROM = 4096

SIMPLE = frozenset((int, str, bytes, bool, type(None)))
"""Types whose values are their own key within one type; hashing them runs no foreign code."""


class Unkeyable(Exception):
    """An argument that cannot be keyed safely.

    Attributes:
        reason: short and bounded, e.g. ``argument of type app.models.User``; becomes a counted reason.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Same:
    """Stands for a class or function by identity, and keeps it alive so that its address is not reused."""

    __slots__ = ("of",)

    def __init__(self, of: object) -> None:
        self.of = of

    def __hash__(self) -> int:
        return id(self.of)

    def __eq__(self, other: object) -> bool:
        return type(other) is Same and other.of is self.of


def canonical(value: Any) -> Any:
    """Return a hashable stand-in for ``value``.

    Raises:
        Unkeyable: for a type that is not known to be safe, a cycle, or more than MOST_NODES parts.
    """
    return _Walk().key(value, 0)


class _Walk:
    __slots__ = ("nodes",)

    def __init__(self) -> None:
        self.nodes = 0

    def key(self, value: Any, depth: int) -> Any:
        kind = type(value)
        plain = type(kind) is type  # looking up any other type could run the hash of its metaclass
        if plain and kind in SIMPLE:
            return (kind, _digest(value) if (kind is str or kind is bytes) and len(value) > _DIGEST_FROM else value)
        self.nodes += 1
        if depth > DEEPEST or self.nodes > MOST_NODES:
            raise Unkeyable("argument too deep or too large")
        reader = _READERS.get(kind) if plain else None
        if reader is not None:
            return reader(self, value, depth + 1)
        return self._other(value, kind, depth + 1)

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if issubclass(kind, type) or kind is FunctionType or kind is BuiltinFunctionType or kind is ModuleType:
            return Same(value)
        if _by_name(kind, "enum", "Enum"):
            return (Same(kind), object.__getattribute__(value, "_name_"))
        if (
            issubclass(kind, tuple)
            and isinstance(kind.__dict__.get("_fields"), tuple)
            and "__eq__" not in kind.__dict__
        ):
            return (Same(kind), *(self.key(item, depth) for item in tuple.__iter__(value)))
        if "__dataclass_fields__" in kind.__dict__:
            return self._dataclass(value, kind, depth)
        late = _late_reader(kind)
        if late is not None:
            return late(self, value, depth)
        raise Unkeyable(f"argument of type {kind.__module__}.{kind.__qualname__}"[:200])

    def _dataclass(self, value: Any, kind: type, depth: int) -> Any:
        """A dataclass is its fields when it compares by them and holds nothing else."""
        fields = tuple(kind.__dict__["__dataclass_fields__"])
        if not kind.__dict__["__dataclass_params__"].eq:
            raise Unkeyable(f"argument of type {kind.__module__}.{kind.__qualname__} (compares by identity)"[:200])
        try:
            state = object.__getattribute__(value, "__dict__")
        except AttributeError:
            state = {name: object.__getattribute__(value, name) for name in fields}
        if set(state) != set(fields):
            raise Unkeyable(f"argument of type {kind.__module__}.{kind.__qualname__} (state besides its fields)"[:200])
        return (Same(kind), *((name, self.key(state[name], depth)) for name in fields))

    def sequence(self, value: Any, depth: int) -> Any:
        return (type(value), *(self.key(item, depth) for item in value))

    def mapping(self, value: dict[Any, Any], depth: int) -> Any:
        return (dict, frozenset((self.key(k, depth), self.key(v, depth)) for k, v in list(value.items())))

    def unordered(self, value: Any, depth: int) -> Any:
        return (type(value), frozenset(self.key(item, depth) for item in list(value)))

    def real(self, value: float, _: int) -> Any:
        return (float, struct.pack("<d", value))

    def imaginary(self, value: complex, _: int) -> Any:
        return (complex, struct.pack("<dd", value.real, value.imag))

    def raw(self, value: bytearray, _: int) -> Any:
        if len(value) > LONGEST_BYTES:
            raise Unkeyable("argument of more than 64 MiB")
        return (bytearray, _digest(bytes(value)))

    def span(self, value: Any, _: int) -> Any:
        return (type(value), value.start, value.stop, value.step)


def _digest(value: str | bytes) -> Any:
    """Long text is kept as length and BLAKE2b-256 (RFC 7693), so that keys stay small."""
    if len(value) > LONGEST_BYTES:
        raise Unkeyable("argument of more than 64 MiB")
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return (len(data), blake2b(data, digest_size=32).digest())


Reader = Callable[[_Walk, Any, int], Any]
_READERS: dict[type, Reader] = {
    float: _Walk.real,
    complex: _Walk.imaginary,
    list: _Walk.sequence,
    tuple: _Walk.sequence,
    dict: _Walk.mapping,
    set: _Walk.unordered,
    frozenset: _Walk.unordered,
    bytearray: _Walk.raw,
    range: _Walk.span,
    slice: lambda walk, value, depth: (slice, *(walk.key(p, depth) for p in (value.start, value.stop, value.step))),
}


def _by_name(kind: type, module: str, name: str) -> bool:
    """True when ``kind`` is a subclass of ``module.name``, looked up only among loaded modules."""
    loaded = sys.modules.get(module)
    base = getattr(loaded, name, None) if loaded is not None else None
    return isinstance(base, type) and issubclass(kind, base)


def _late_reader(kind: type) -> Reader | None:
    """Return the reader of a type whose module we do not import: the standard library's values, and numpy's."""
    reader = _LATE.get((kind.__module__, kind.__qualname__))
    return reader if reader is not None and _genuine(kind) else None


def _genuine(kind: type) -> bool:
    """True when the type is the very one that its module holds under its name, so that no class can pose as it."""
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind


def _moment(walk: _Walk, value: Any, _: int) -> Any:
    zone = getattr(value, "tzinfo", None)
    if zone is None:
        where: Any = None
    elif (type(zone).__module__, type(zone).__qualname__) == ("datetime", "timezone") and _genuine(type(zone)):
        where = (Same(type(zone)), repr(zone))
    elif (type(zone).__module__, type(zone).__qualname__) == ("zoneinfo", "ZoneInfo") and zone.key:
        where = (Same(type(zone)), zone.key)
    else:
        raise Unkeyable(f"time zone of type {type(zone).__module__}.{type(zone).__qualname__}"[:200])
    return (
        Same(type(value)),
        value.replace(tzinfo=None).isoformat() if where else value.isoformat(),
        where,
        getattr(value, "fold", 0),
    )


def _text(walk: _Walk, value: Any, _: int) -> Any:
    return (Same(type(value)), str(value))


def _array(walk: _Walk, value: Any, _: int) -> Any:
    if value.dtype.hasobject:
        raise Unkeyable("numpy array of objects")
    if value.nbytes > LONGEST_BYTES:
        raise Unkeyable("argument of more than 64 MiB")
    return (Same(type(value)), repr(value.dtype), tuple(value.shape), _digest(value.tobytes()))


_LATE: dict[tuple[str, str], Reader] = {
    ("datetime", "datetime"): _moment,
    ("datetime", "time"): _moment,
    ("datetime", "date"): _text,
    ("datetime", "timedelta"): lambda walk, v, _: (Same(type(v)), v.days, v.seconds, v.microseconds),
    ("decimal", "Decimal"): lambda walk, v, _: (Same(type(v)), str(v)),
    ("fractions", "Fraction"): lambda walk, v, _: (Same(type(v)), v.numerator, v.denominator),
    ("uuid", "UUID"): lambda walk, v, _: (Same(type(v)), v.int),
    ("pathlib", "PosixPath"): _text,
    ("pathlib", "PurePosixPath"): _text,
    ("numpy", "ndarray"): _array,
    **{("numpy", f"{name}{bits}"): _array for name in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{
        ("numpy", name): _array
        for name in ("float16", "float32", "float64", "bool_", "bool", "complex64", "complex128")
    },
}
