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
        signature = inspect.signature(function)
        kept, flights, lock = OrderedDict(), {}, threading.Lock()

        def key_of(args, kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            parts = dict(bound.arguments)
            if identity:
                first = next(iter(parts))
                held = vars(parts[first])
                parts[first] = (type(parts[first]), *(held[name] for name in identity))
            return tuple(_key(value) for name, value in parts.items() if name not in ignore)

        def find(args, kwargs):
            """Return (key, outcome): no key when the call is to be made, no outcome when it is not known."""
            try:
                key = key_of(args, kwargs)
            except (_Unkeyable, TypeError, KeyError):
                return None, None
            return key, look(key)

        def look(key):
            with lock:
                known = kept.get(key)
                if known is not None and known[0] <= time.monotonic():
                    del kept[key]
                    return None
                return known

        def keep(key, value, failed):
            shared = failed or copies == "never" or (copies == "auto" and _frozen(value))
            try:
                entry = (time.monotonic() + ttl, value if shared else copy.deepcopy(value), failed, shared)
            except Exception:
                return  # what cannot be copied is not kept
            with lock:
                kept.pop(key, None)
                kept[key] = entry
                while len(kept) > max_entries:
                    kept.popitem(last=False)

        def serve(entry):
            _, value, failed, shared = entry
            if failed:
                raise value
            return value if shared else copy.deepcopy(value)

        def flight(of, make):
            with lock:
                if of not in flights:
                    flights[of] = make()
                return flights[of]

        @functools.wraps(function)
        def call(*args, **kwargs):
            key, known = find(args, kwargs)
            if key is None:
                return function(*args, **kwargs)
            if known is not None:
                return serve(known)
            with flight(key, threading.RLock):
                if (known := look(key)) is not None:
                    return serve(known)
                try:
                    value = function(*args, **kwargs)
                    keep(key, value, False)
                    return value
                except Exception as error:
                    if exceptions:
                        keep(key, error, True)
                    raise
                finally:
                    flights.pop(key, None)

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            key, known = find(args, kwargs)
            if key is None:
                return await function(*args, **kwargs)
            if known is not None:
                return serve(known)
            of = (key, id(asyncio.get_running_loop()))
            async with flight(of, asyncio.Lock):
                if (known := look(key)) is not None:
                    return serve(known)
                try:
                    value = await function(*args, **kwargs)
                    keep(key, value, False)
                    return value
                except Exception as error:
                    if exceptions:
                        keep(key, error, True)
                    raise
                finally:
                    flights.pop(of, None)

        return call_async if inspect.iscoroutinefunction(function) else call

    return decorate
