"""Results served again until their time is over."""

import abc
import asyncio
import copy
import enum
import functools
import inspect
import struct
import threading
import time
import types
from collections import OrderedDict


class _Unkeyable(Exception):
    """An argument that is not safe to tell apart: the call is made."""


_PLAIN = (int, str, bytes, bool, types.NoneType)
_TEXTUAL = {
    "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "decimal.Decimal",
    "fractions.Fraction", "uuid.UUID", "pathlib.PosixPath", "pathlib.PurePosixPath",
}  # fmt: skip
_FROZEN = (*_PLAIN, float, complex, range, type(Ellipsis))


def _key(value, depth=0):
    """Return a hashable stand-in for ``value``; 1, 1.0 and True differ, the order of a dict's items does not matter."""
    kind = type(value)
    if depth > 32:
        raise _Unkeyable
    if kind in _PLAIN:
        return kind, value
    if kind in (float, complex):
        return kind, struct.pack("<dd", value.real, value.imag)
    if kind in (list, tuple):
        return kind, *(_key(item, depth + 1) for item in value)
    if kind in (set, frozenset):
        return kind, frozenset(_key(item, depth + 1) for item in value)
    if kind is dict:
        return kind, frozenset((_key(k, depth + 1), _key(v, depth + 1)) for k, v in value.items())
    if kind in (bytearray, range):
        return kind, bytes(value) if kind is bytearray else value
    if kind in (type, abc.ABCMeta, types.FunctionType, types.BuiltinFunctionType, types.ModuleType):
        return kind, value
    if issubclass(kind, enum.Enum):
        return kind, value.name
    if f"{kind.__module__}.{kind.__qualname__}" in _TEXTUAL:
        zone = getattr(value, "tzinfo", None)
        return kind, str(value), repr(zone), getattr(value, "fold", 0)
    if issubclass(kind, tuple) and "_fields" in vars(kind) and "__eq__" not in vars(kind):
        return kind, *(_key(item, depth + 1) for item in value)
    if "__dataclass_fields__" in vars(kind) and kind.__dataclass_params__.eq:
        fields = kind.__dataclass_fields__
        if getattr(value, "__dict__", fields).keys() == fields.keys():
            return kind, *(_key(getattr(value, name), depth + 1) for name in fields)
    raise _Unkeyable


def _frozen(value):
    kind = type(value)
    if kind in (tuple, frozenset):
        return all(map(_frozen, value))
    return kind in _FROZEN or isinstance(value, type) or f"{kind.__module__}.{kind.__qualname__}" in _TEXTUAL


class _Results:
    """Results by key, each until its time is over."""

    def __init__(self, ttl, max_entries, copies):
        self.ttl, self.max_entries, self.copies = ttl, max_entries, copies
        self.lock, self.entries, self.flights = threading.Lock(), OrderedDict(), {}

    def find(self, key):
        """Return what is kept, as (until, value, failed, whether it is handed out as it is), or None."""
        with self.lock:
            known = self.entries.get(key)
            if known is not None and known[0] <= time.monotonic():
                del self.entries[key]
                return None
            return known

    def keep(self, key, value, failed=False):
        """Keep a result, or an exception that is to be raised again."""
        shared = failed or self.copies == "never" or (self.copies == "auto" and _frozen(value))
        try:
            entry = (time.monotonic() + self.ttl, value if shared else copy.deepcopy(value), failed, shared)
        except Exception:
            return  # what cannot be copied is not kept
        with self.lock:
            self.entries.pop(key, None)
            self.entries[key] = entry
            while len(self.entries) > self.max_entries:
                self.entries.popitem(last=False)

    def flight(self, of, make):
        """Return the lock of a computation: the first caller computes, the others wait."""
        with self.lock:
            if of not in self.flights:
                self.flights[of] = make()
            return self.flights[of]


def _serve(entry):
    _, value, failed, shared = entry
    if failed:
        raise value
    return value if shared else copy.deepcopy(value)


def _keys_of(function, ignore, identity):
    """Return what turns the arguments of a call into its key, or None when the call is to be made."""
    signature = inspect.signature(function)

    def key_of(args, kwargs):
        try:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            parts = dict(bound.arguments)
            if identity:
                first = next(iter(parts))
                held = vars(parts[first])
                parts[first] = (type(parts[first]), *(held[name] for name in identity))
            return tuple(_key(value) for name, value in parts.items() if name not in ignore)
        except (_Unkeyable, TypeError, KeyError):
            return None

    return key_of


def _cached(function, key_of, results, exceptions):
    @functools.wraps(function)
    def call(*args, **kwargs):
        key = key_of(args, kwargs)
        if key is None:
            return function(*args, **kwargs)
        if (known := results.find(key)) is not None:
            return _serve(known)
        with results.flight(key, threading.RLock):
            if (known := results.find(key)) is not None:
                return _serve(known)
            try:
                value = function(*args, **kwargs)
                results.keep(key, value)
                return value
            except Exception as error:
                if exceptions:
                    results.keep(key, error, failed=True)
                raise
            finally:
                results.flights.pop(key, None)

    return call


def _cached_async(function, key_of, results, exceptions):
    @functools.wraps(function)
    async def call(*args, **kwargs):
        key = key_of(args, kwargs)
        if key is None:
            return await function(*args, **kwargs)
        if (known := results.find(key)) is not None:
            return _serve(known)
        of = (key, id(asyncio.get_running_loop()))
        async with results.flight(of, asyncio.Lock):
            if (known := results.find(key)) is not None:
                return _serve(known)
            try:
                value = await function(*args, **kwargs)
                results.keep(key, value)
                return value
            except Exception as error:
                if exceptions:
                    results.keep(key, error, failed=True)
                raise
            finally:
                results.flights.pop(of, None)

    return call


def cached(ttl, *, max_entries=100_000, ignore=(), identity=(), copies="auto", exceptions=False):
    """Serve the result of equal calls again for ``ttl`` seconds.

    Args:
        max_entries: results kept; those kept longest go first.
        ignore: names of parameters that make no difference.
        identity: attributes of ``self`` that stand for it.
        copies: "auto" hands out copies of mutable results, "deep" of all, "never" of none.
        exceptions: keep exceptions as well.
    """

    def decorate(function):
        wrap = _cached_async if inspect.iscoroutinefunction(function) else _cached
        return wrap(function, _keys_of(function, ignore, identity), _Results(ttl, max_entries, copies), exceptions)

    return decorate
