"""Where two results differ, found without running a line of their code.

Only exact builtin types, known values of the standard library, numpy's arrays, and the attributes that instances
themselves hold are looked at: no ``__eq__``, ``__hash__``, ``__repr__`` or property of a foreign type is called. Types
must be the same: 1, 1.0 and True differ, unless a tolerance is given, which makes 1 and 1.0 numbers. nan equals nan.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from math import isfinite
from types import (
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import Any

from mystic_agent.cache.key import Unkeyable, canonical
from mystic_agent.contract.named import NamedTuple
from mystic_agent.redact import HIDDEN, secret_name, show

MOST_PARTS = 100_000
_ATOMS = frozenset({str, bytes, bool, type(None), type(Ellipsis), complex, range})
_NUMBERS = (int, float)
_BASES = (str, bytes, bytearray, int, float, dict, list, tuple, set, frozenset)
_ABSENT: Any = object()

_OF_C = (
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
_VALUES = frozenset({"datetime", "decimal", "fractions", "uuid", "pathlib"})

Path = tuple[str, ...]
Held = tuple[Any, Any]
Pair = tuple[Path, Any, Any]


class Incomparable(Exception):
    """Results that cannot be compared.

    Attributes:
        reason: of few distinct values; it is counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Tolerance(NamedTuple):
    """What is no difference.

    Attributes:
        relative: share of the larger of two numbers.
        absolute: difference of two numbers.
        ignore: paths of what may differ; ``*`` stands for any one step.
    """

    relative: float = 0.0
    absolute: float = 0.0
    ignore: tuple[Path, ...] = ()

    def close(self, old: float, new: float) -> bool:
        """True when two numbers are near enough."""
        if old == new or (old != old and new != new):
            return True
        if not (isfinite(old) and isfinite(new)):
            return False
        return abs(old - new) <= max(self.absolute, self.relative * max(abs(old), abs(new)))

    def ignores(self, path: Path) -> bool:
        """True when what is at ``path`` may differ."""
        return any(
            len(pattern) == len(path) and all(p in ("*", step) for p, step in zip(pattern, path, strict=True))
            for pattern in self.ignore
        )


class Difference(NamedTuple):
    """One place where two results differ: its path, and both values there, redacted and bounded."""

    path: str
    old: str
    new: str


def difference(old: Any, new: Any, tolerance: Tolerance | None = None) -> Difference | None:
    """Return the first difference between two results, or None.

    Raises:
        Incomparable: for values of types that hold what cannot be seen, and results of more than MOST_PARTS parts.
    """
    try:
        return _difference(old, new, tolerance or Tolerance())
    except SystemExit:  # of a metaclass: the only code of theirs that looking at a type can run
        raise Incomparable("result of a type that runs code when it is looked at") from None


def _difference(old: Any, new: Any, tolerance: Tolerance) -> Difference | None:
    stack: list[Pair] = [((), old, new)]
    above: set[tuple[int, int]] = set()
    left = MOST_PARTS
    while stack:
        path, a, b = stack.pop()
        left -= 1
        if left < 0:
            raise Incomparable("results of too many parts")
        if a is b or (tolerance.ignore and tolerance.ignores(path)):
            continue
        if type(a) in _NUMBERS and type(b) in _NUMBERS:
            alike = type(a) is type(b) or tolerance.relative > 0 or tolerance.absolute > 0
            if not alike or not _near(tolerance, a, b):
                return _told(path, a, b)
        elif type(a) is not type(b):
            return _told(path, a, b)
        elif type(a) in _ATOMS:
            if a != b and not (type(a) is complex and repr(a) == repr(b)):
                return _told(path, a, b)
        elif (id(a), id(b)) not in above:
            above.add((id(a), id(b)))
            stack += reversed(list(_parts(path, a, b, tolerance)))
    return None


def _near(tolerance: Tolerance, old: float, new: float) -> bool:
    try:
        return tolerance.close(old, new)
    except OverflowError:  # whole numbers beyond what a float holds
        return old == new


def _parts(path: Path, a: Any, b: Any, tolerance: Tolerance) -> Iterator[Pair]:
    """Yield pairs of what two values of one type hold; a pair that differs by itself when they differ."""
    kind = type(a)
    if kind is dict:
        yield from _items(path, a.items(), b.items())
    elif kind in (list, tuple):
        if len(a) != len(b):
            yield ((*path, "len()"), len(a), len(b))
        named = _secret_pair(a) or _secret_pair(b)
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield ((*path, named if named and i else str(i)), x, y)
    elif kind in (set, frozenset):
        yield from _items(path, _members(a), _members(b))
    elif kind is bytearray:
        yield (path, bytes(a), bytes(b))
    elif kind.__module__ == "numpy" and getattr(sys.modules.get("numpy"), kind.__name__, None) is kind:
        yield from _numpy(path, a, b, tolerance)
    else:
        yield from _foreign(path, a, b, kind)


def _secret_pair(value: Any) -> str:
    """Return the name of a pair of a name and its secret, as headers are often listed; empty for anything else."""
    name = value[0] if len(value) == 2 else None
    return name if type(name) is str and len(name) <= 200 and secret_name(name) else ""


def _items(path: Path, a: Iterable[Held], b: Iterable[Held]) -> Iterator[Pair]:
    mine, theirs = _keyed(a), _keyed(b)
    for key, (name, value) in mine.items():
        yield ((*path, name), value, theirs.get(key, (name, _ABSENT))[1])
    for key in theirs.keys() - mine.keys():
        yield ((*path, theirs[key][0]), _ABSENT, theirs[key][1])


def _keyed(held: Iterable[Held]) -> dict[Any, tuple[str, Any]]:
    try:
        return {
            canonical(key): (key if type(key) is str else show(key, depth=1, length=80), value)
            for key, value in list(held)
        }
    except Unkeyable as why:
        raise Incomparable(f"key: {why.reason}") from None


def _members(members: Iterable[Any]) -> list[Held]:
    return [(one, None) for one in members]


def _numpy(path: Path, a: Any, b: Any, tolerance: Tolerance) -> Iterator[Pair]:
    numpy = sys.modules["numpy"]
    if type(a) is not numpy.ndarray:
        yield (path, a.item(), b.item())
        return
    yield ((*path, "dtype"), str(a.dtype), str(b.dtype))
    yield ((*path, "shape"), tuple(a.shape), tuple(b.shape))
    if a.dtype.hasobject or b.dtype.hasobject:
        raise Incomparable("numpy array of objects")
    if a.dtype == b.dtype and a.shape == b.shape:
        floating = a.dtype.kind in "fc"
        loose = floating or tolerance.relative > 0 or tolerance.absolute > 0
        same = (
            numpy.isclose(a, b, rtol=tolerance.relative, atol=tolerance.absolute, equal_nan=floating)
            if loose and a.dtype.kind in "iufc"
            else a == b
        )
        if not bool(numpy.all(same)):
            where = numpy.unravel_index(int(numpy.argmin(same)), a.shape)
            yield ((*path, *(str(int(i)) for i in where)), a[where].item(), b[where].item())


def _foreign(path: Path, a: Any, b: Any, kind: type) -> Iterator[Pair]:
    """Yield what instances hold: the content of the builtin type they extend, and their attributes."""
    if kind.__module__ in _VALUES:
        yield from _known(path, a, b)
        return
    base = next((one for one in _BASES if issubclass(kind, one)), None)
    if base is dict:
        yield from _items(path, dict.items(a), dict.items(b))
    elif base in (set, frozenset):
        yield from _items(path, _members(base.__iter__(a)), _members(base.__iter__(b)))
    elif base is not None:
        yield (path, _content(base, a), _content(base, b))
    elif issubclass(kind, BaseException):
        args = BaseException.__dict__["args"]
        yield ((*path, "args"), args.__get__(a), args.__get__(b))
    mine, theirs = _state(a), _state(b)
    if mine is not None and theirs is not None:
        yield from _items(path, mine.items(), theirs.items())
    elif base is None and not issubclass(kind, BaseException):
        raise Incomparable(f"result of type {kind.__module__}.{kind.__qualname__}"[:200])


def _known(path: Path, a: Any, b: Any) -> Iterator[Pair]:
    try:
        same = canonical(a) == canonical(b)
    except Unkeyable as why:
        raise Incomparable(f"result: {why.reason}") from None
    if not same:
        yield (path, str(a), str(b))


def _content(base: Any, value: Any) -> Any:
    """Return the part of ``value`` that its builtin base type holds, as an exact instance of that type."""
    if base in (int, float):
        return base.__add__(value, base(0))
    return str.__str__(value) if base is str else base.__getitem__(value, slice(None))


def _state(value: Any) -> dict[str, Any] | None:
    """Return the attributes an instance holds itself, or None when nobody can see whether it holds any."""
    if any(_opaque(kind) for kind in type(value).__mro__):
        return None
    found: dict[str, Any] = {}
    seen = False
    try:
        found.update(object.__getattribute__(value, "__dict__"))
        seen = True
    except AttributeError:
        pass
    for kind in type(value).__mro__:
        seen = seen or "__slots__" in vars(kind)
        for name, one in vars(kind).items() if "__slots__" in vars(kind) else ():
            if type(one) is MemberDescriptorType:
                try:
                    found[name] = one.__get__(value)
                except AttributeError:
                    continue
    return found if seen else None


def _opaque(kind: type) -> bool:
    """True for a class that is written in C: what its instances hold is not in their attributes."""
    if kind is object or kind in _BASES or (kind.__module__ == "builtins" and issubclass(kind, BaseException)):
        return False
    slots = "__slots__" in vars(kind)
    return any(
        isinstance(one, _OF_C) and one.__objclass__ is kind and not (slots and type(one) is MemberDescriptorType)
        for name, one in vars(kind).items()
        if name not in ("__dict__", "__weakref__")
    )


def _told(path: Path, old: Any, new: Any) -> Difference:
    hidden = any(secret_name(step) for step in path)
    one, other = ("absent" if v is _ABSENT else HIDDEN if hidden else show(v, length=200) for v in (old, new))
    return Difference(".".join(path)[:200] or "result", one, other)
