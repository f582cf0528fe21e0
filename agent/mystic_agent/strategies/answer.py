"""What a caller gets instead of a call to the function: in the form in which its kind of function answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from typing import Any

from mystic_agent.cache.frozen import copied, frozen


class Value:
    """A value to return: a mutable one is copied for every caller, so that none can change what the next one gets."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._shared = frozen(value)

    def make(self) -> Any:
        """Return it, or a copy."""
        return self._value if self._shared else copied(self._value)


def returned(kind: str, value: Any) -> Any:
    """Return what a function of ``kind`` gives back to return ``value``."""
    return _awaitable(value) if kind == "coroutine" else value


def raised(kind: str, error: Exception) -> Any:
    """Raise ``error``, or return what raises it when a function of ``kind`` is awaited or iterated over."""
    if kind == "async_generator":
        return _yielding_async((), error)
    raise error


def yielded(kind: str, values: Iterable[Any]) -> Any:
    """Return a generator or async generator of ``values``."""
    return _yielding_async(values, None) if kind == "async_generator" else _yielding(values)


async def _awaitable(value: Any) -> Any:
    return value


def _yielding(values: Iterable[Any]) -> Generator[Any, Any, None]:
    yield from values


async def _yielding_async(values: Iterable[Any], error: Exception | None) -> AsyncGenerator[Any, Any]:
    for value in values:
        yield value
    if error is not None:
        raise error
